for part in $all_programs $all_libraries $manual; do
    cd $part
    find -L . -type f | sort | while read -r file; do
        echo "== $file"
        cat "$file"
    done
    cd - > /dev/null
done > release
cat $test_report $word_list >> release
mkdir -p $out
$all_programs/bin/lz compress < release > $out/release.lz
cd $out
$all_programs/bin/sums release.lz > SHA256SUMS
$all_programs/bin/sums -c SHA256SUMS
