$pi/bin/pi 20000 machin > $out
