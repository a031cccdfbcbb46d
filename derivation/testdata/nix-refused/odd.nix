let floating = derivation { name = "floating"; system = "x86_64-linux"; builder = "/bin/sh"; __contentAddressed = true; outputHashMode = "recursive"; outputHashAlgo = "sha256"; }; in
[ floating
 (derivation { name = "deferred"; system = "x86_64-linux"; builder = "/bin/sh"; a = floating; })
 (derivation { name = "impure"; system = "x86_64-linux"; builder = "/bin/sh"; __impure = true; outputHashMode = "recursive"; outputHashAlgo = "sha256"; }) ]
