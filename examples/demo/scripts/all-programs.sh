mkdir -p $out/bin
for program in $programs; do ln -s $program/bin/* $out/bin/; done
ls $out/bin
