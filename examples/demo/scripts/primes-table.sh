$primes/bin/primes 200000 > $out
