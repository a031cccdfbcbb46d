unpack
$life/bin/life 0 glider.life | head -n 32 > expected
$life/bin/life 256 glider.life | head -n 32 > got
compare life-test
