unpack
$bfc/bin/bfc triangle.bf > $out
