;; What Guix's secret service uses of the library Fibers, which Debian does not have: without any other fiber, waiting is just that.
(define-module (fibers) #:export (sleep))
(define (sleep seconds) (select '() '() '() seconds))
