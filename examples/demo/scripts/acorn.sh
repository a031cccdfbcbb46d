unpack
$life/bin/life 5206 acorn.life > $out
tail -n 1 $out
