cmp $pi_machin $pi_gauss
echo 'both formulas agree'
cp $pi_machin $out
