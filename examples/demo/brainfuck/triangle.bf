Prints a triangle of stars
Cells: 0 rows left; 1 width; 2 stars left; 3 copy; 4 scratch; 5 star; 6 line feed

++++++++++++
>>>>++++++[>+++++++<-]>>++++++++++<<<<<<
[
    - >+
    [->+>+<<] >> [-<<+>>]
    < [->>>.<<<]
    >>>>. <<<<<<
]
