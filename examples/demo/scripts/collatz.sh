unpack
$forth/bin/forth collatz.fs > $out
cat $out
