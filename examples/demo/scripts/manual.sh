mkdir -p $out
echo '# Manual' > index
for doc in $docs; do
    for page in $doc/*.md; do
        name=${page##*/}; name=${name%.md}
        $markdown_tool/bin/markdown $name $page > $out/$name.html
        echo "- $name" >> index
    done
done
$markdown_tool/bin/markdown Manual index > $out/index.html
echo "$(ls $out | wc -l) pages"
