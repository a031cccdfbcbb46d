i=0
while [ $i -lt 5000 ]; do echo $((i * 7919 % 4001)); i=$((i + 1)); done > numbers
sort -n -u numbers > expected
$sort/bin/sort -n -u numbers > got
compare sort-test
