unpack
$bfc/bin/bfc hello.bf > $out
