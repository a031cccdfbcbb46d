Prints a name and a line feed: cell 1 becomes 100 and cell 2 becomes 10
++++++++++[>++++++++++>+<<-]>
+++. g
+++++++++++. r
-----------------. a
+++++++++++++. n
-------. g
--. e
>. line feed
