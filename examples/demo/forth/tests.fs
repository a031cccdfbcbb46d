\ What the interpreter must do: prints "ok" for each that it does.
: check ( expected got -- ) = if ." ok " else ." FAILED " then ;

7 3 4 + check
6 20 3 / check
-1 -7 3 mod check
5 1 5 max check
1 1 2 = 0= negate check

: square dup * ;
: cube dup square * ;
27 3 cube check

: sign dup 0 < if drop -1 else 0 > if 1 else 0 then then ;
-1 -5 sign check
0 0 sign check
1 9 sign check

: factorial 1 swap 1 + 1 do i * loop ;
3628800 10 factorial check

: gcd begin dup while swap over mod repeat drop ;
21 1071 462 gcd check

: countdown begin 1 - dup 0= until ;
0 10 countdown check

variable counter
: count-up 0 do i counter +! loop ;
100 count-up
4950 counter @ check
42 constant answer
42 answer check
3 1 2 3 rot drop swap drop check
cr
