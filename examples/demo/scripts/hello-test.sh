echo grange > expected
row=
for i in 1 2 3 4 5 6 7 8 9 10 11 12; do row="$row*"; echo "$row"; done >> expected
{ $hello/bin/hello; $triangle/bin/triangle; } > got
compare hello-test
