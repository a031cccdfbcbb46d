//! Against the real tools, where they are: keys that they make, signatures that libgcrypt makes.

use grange_signatures::guix;
use grange_signatures::nix;
use std::fs;
use std::path::Path;
use std::process::Command;

/// What a program prints, or `None` if there is no such program.
fn run(program: &str, arguments: &[&str]) -> Option<String> {
    let output = match Command::new(program).args(arguments).output() {
        Ok(output) => output,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            println!("skipped: there is no {program}");
            return None;
        }
        Err(error) => panic!("{program}: {error}"),
    };
    let shown = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {shown}");
    Some(String::from_utf8(output.stdout).unwrap())
}

fn name(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn nix_makes_keys_that_are_read_and_written() {
    let directory = tempfile::tempdir().unwrap();
    let (secret, public) = (directory.path().join("sec"), directory.path().join("pub"));
    let arguments = [
        "--generate-binary-cache-key",
        "a.b-1",
        name(&secret),
        name(&public),
    ];
    if run("nix-store", &arguments).is_none() {
        return;
    }
    let (secret, public) = (
        fs::read_to_string(secret).unwrap(),
        fs::read_to_string(public).unwrap(),
    );
    let key = nix::SecretKey::parse(&secret).unwrap();
    assert_eq!(key.to_file().expose(), secret.as_bytes());
    assert_eq!(key.public().to_string(), public);
}

/// Signs each hash with the keys in two files and prints what `guix publish` would encode.
const SIGN: &str = r##"
(use-modules (gcrypt pk-crypto) (gcrypt base16) (guix pki) (ice-9 iconv) (ice-9 match) (ice-9 textual-ports))
(define (read file) (string->canonical-sexp (call-with-input-file file get-string-all)))
(match (command-line)
  ((_ secret public hashes ...)
   (for-each
    (lambda (hash)
      (let* ((key  (read secret))
             (data (bytevector->hash-data (base16-string->bytevector hash) #:key-type (key-type key)))
             (text (canonical-sexp->string (signature-sexp data key (read public)))))
        (format #t "signed ~a~%" (bytevector->base16-string (string->bytevector text "ISO-8859-1")))))
    hashes)))
"##;

#[test]
fn libgcrypt_makes_the_same_signatures() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str| directory.path().join(name);
    fs::write(file("sign.scm"), SIGN).unwrap();
    for seed in 0..4 {
        let key = guix::SecretKey::generate(&[seed; 32]);
        fs::write(file("sec"), key.to_file().expose()).unwrap();
        fs::write(file("pub"), key.public().to_file()).unwrap();
        let hashes: Vec<_> = (0..8u8)
            .map(|n| grange_derivation::Hash::sha256(&[seed, n]))
            .collect();
        let texts: Vec<_> = hashes
            .iter()
            .map(grange_derivation::Hash::to_base16)
            .collect();
        let (script, sec, public) = (file("sign.scm"), file("sec"), file("pub"));
        let mut arguments = vec!["repl", "--", name(&script), name(&sec), name(&public)];
        arguments.extend(texts.iter().map(String::as_str));
        let Some(printed) = run("guix", &arguments) else {
            return;
        };
        let theirs: Vec<_> = printed
            .lines()
            .filter_map(|line| line.strip_prefix("signed "))
            .collect();
        let ours = hashes.iter().map(|hash| {
            let signature = key.sign(&hash.to_sha256().unwrap());
            data_encoding::HEXLOWER.encode(&signature.to_advanced())
        });
        assert_eq!(theirs, ours.collect::<Vec<_>>());
    }
}
