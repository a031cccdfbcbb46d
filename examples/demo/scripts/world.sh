mkdir -p $out
ln -s $release $out/release
ln -s $all_programs/bin $out/bin
ln -s $all_libraries/lib $out/lib
ln -s $all_libraries/include $out/include
ln -s $manual $out/manual
ln -s $gallery $out/gallery
ln -s $test_report $out/tests.json
ln -s $primes_table $out/primes.txt
ln -s $pi_digits $out/pi.txt
ln -s $collatz $out/collatz.txt
{ $hello/bin/hello; echo; ls $out; } > $out/README
cat $out/README
