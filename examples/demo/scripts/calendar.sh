$cal/bin/cal 2026 > $out
