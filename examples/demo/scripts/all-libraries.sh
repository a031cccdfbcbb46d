mkdir -p $out/lib $out/include
for library in $archives; do ln -s $library/*.a $out/lib/; done
for library in $headers; do ln -s $library/*.h $out/include/; done
ls $out/lib
