unpack
sha256sum sums.c > expected
$sums/bin/sums sums.c > got
$sums/bin/sums -c got
compare sums-test
