for doc in $docs; do cat $doc/*.md; done > all
$words/bin/words 25 all > $out
head -n 5 $out
