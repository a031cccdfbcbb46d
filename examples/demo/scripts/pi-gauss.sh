$pi/bin/pi 20000 gauss > $out
