;; Virtual build machines as services of the Shepherd, on Guix System. Put this file beside the configuration, and say there:
;;
;;   (add-to-load-path (dirname (current-filename)))
;;   (use-modules (grange-vm))
;;   …
;;   (services (cons* (grange-vm-service "past")
;;                    (grange-vm-agent-service "past" '("--coordinator" "https://farm.example.org:8745"
;;                                                      "--uuid" "01938f4e-6b1c-7c3e-9f5b-0c2d8e4f6a10"
;;                                                      "--password-file" "/etc/grange/past.password"))
;;                    …))
;;
;; The machine is made before, as root: `grange vm create past --qemu /run/current-system/profile/bin/qemu-system-x86_64`. To the
;; Shepherd it runs once its supervisor does; whether its guest answers says `grange vm status past`.
(define-module (grange-vm)
  #:use-module (gnu services)
  #:use-module (gnu services shepherd)
  #:use-module (guix gexp)
  #:export (grange-vm-service
            grange-vm-agent-service))

;; One of the two: ARGUMENTS are those of `grange vm`.
(define (supervised symbol text needs grange arguments grace)
  (simple-service
   symbol shepherd-root-service-type
   (list (shepherd-service
          (provision (list symbol))
          (requirement needs)
          (documentation text)
          (start #~(make-forkexec-constructor
                    (cons* #$grange "vm" '#$arguments)
                    #:log-file #$(string-append "/var/log/" (symbol->string symbol) ".log")
                    #:environment-variables
                    (list "PATH=/run/current-system/profile/bin:/run/current-system/profile/sbin")))
          (stop #~(make-kill-destructor #:grace-period #$grace))))))

;; The machine NAME itself. Its guest is told to switch off first, so it gets time for that.
(define* (grange-vm-service name
                            #:key (grange "/usr/local/bin/grange"))
  (supervised (symbol-append 'grange-vm- (string->symbol name))
              "Run a virtual build machine of Grange."
              '(user-processes loopback)
              grange
              (list "start" name "--foreground")
              90))

;; Clones of the machine NAME that build for a farm, one after the other. ARGUMENTS say for whom.
(define* (grange-vm-agent-service name arguments
                                  #:key (grange "/usr/local/bin/grange"))
  (supervised (symbol-append 'grange-vm-agent- (string->symbol name))
              "Have clones of a virtual build machine of Grange build for a farm."
              '(user-processes networking)
              grange
              (cons* "agent" name arguments)
              30))
