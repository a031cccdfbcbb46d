{
    echo '['
    comma=
    for test in $tests; do
        name=${test##*/}
        echo "$comma{\"test\": \"${name#*-}\", \"says\": \"$(tail -n 1 $test)\"}"
        comma=,
    done
    echo ']'
} > report
$json_tool/bin/json < report > $out
