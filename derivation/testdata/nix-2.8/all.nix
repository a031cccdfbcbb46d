let d = import ./derivations.nix { seeds = "/seeds"; };
in [ d.dag d.multi d.multi-user d.fixed-good d.fixed-same-1 d.fixed-same-2 d.refs-graph d.refs-allowed d.refs-forbidden d.prefer-local d.not-substitutable d.needs-feature d.c-fib-test
 (derivation { name = "recursive"; system = "x86_64-linux"; builder = "/bin/sh"; outputHashMode = "recursive"; outputHashAlgo = "sha256"; outputHash = builtins.hashString "sha256" "x"; })
 (derivation { name = "sha1"; system = "x86_64-linux"; builder = "/bin/sh"; outputHashAlgo = "sha1"; outputHash = builtins.hashString "sha1" "x"; })
 (derivation { name = "sha512"; system = "x86_64-linux"; builder = "/bin/sh"; outputHashMode = "recursive"; outputHashAlgo = "sha512"; outputHash = builtins.hashString "sha512" "x"; })
 (derivation { name = "md5"; system = "x86_64-linux"; builder = "/bin/sh"; outputHashAlgo = "md5"; outputHash = builtins.hashString "md5" "x"; })
 (derivation { name = "both"; system = "x86_64-linux"; builder = "/bin/sh"; a = "${d.fixed-same-1} ${d.fixed-same-2} ${d.multi.lib} ${d.multi.doc}"; })
 (derivation { name = "structured"; system = "x86_64-linux"; builder = "/bin/sh"; __structuredAttrs = true; a = [ 1 2 ]; outputs = [ "dev" "out" ]; })
 (derivation { name = "reads-a-drv"; system = "x86_64-linux"; builder = "/bin/sh"; a = builtins.unsafeDiscardOutputDependency d.single.drvPath; })
 (derivation { name = "reads-a-closure"; system = "x86_64-linux"; builder = "/bin/sh"; a = d.multi.drvPath; })
 (import <nix/fetchurl.nix> { url = "http://localhost/x"; hash = "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="; })
]
