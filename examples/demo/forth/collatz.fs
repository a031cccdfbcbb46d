\ The number below 30,000 whose Collatz sequence is longest.
: next-one dup 2 mod if 3 * 1 + else 2 / then ;
: length ( n -- steps ) 1 swap begin dup 1 > while next-one swap 1 + swap repeat drop ;
variable best
variable longest
: search ( limit -- ) 1 do i length dup longest @ > if longest ! i best ! else drop then loop ;
30000 search
best @ . ." is followed by the longest sequence, of " longest @ . ." numbers with itself" cr
