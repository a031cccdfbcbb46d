mkdir -p $out
cp $calendar $out/calendar.txt
cp $agenda $out/agenda.txt
ln -s $pi_digits $out/pi.txt
