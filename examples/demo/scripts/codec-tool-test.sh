codec=$codec_tool/bin/codec
head -c 100000 $primes_table > expected
$codec encode base64 < expected > text
$codec decode base64 < text > got
compare codec-tool-test
