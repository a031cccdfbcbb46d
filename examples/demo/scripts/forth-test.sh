unpack
$forth/bin/forth tests.fs > got
cat got
if $grep/bin/grep FAILED got; then exit 1; fi
echo 'forth-test: as expected' > $out
