printf '00000000  %-47s  |%s|\n' '68 65 6c 6c 6f 0a' hello. > expected
echo hello | $hexdump/bin/hexdump - > got
compare hexdump-test
