unpack
grep -nE '^(int|static) .*[(]' grep.c > expected
$grep/bin/grep -n '^(int|static) .*\(' grep.c > got
compare grep-test
