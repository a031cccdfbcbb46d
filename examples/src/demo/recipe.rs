//! What a derivation of the demo is made from: names and a script.

use grange_derivation::{Hash, HashAlgo};

/// A derivation before it is written.
///
/// Every input appears in the script as a variable that holds its path: `strbuf`, or for other outputs than `out`
/// `strbuf_doc`, with `_` for `-`.
#[derive(Debug, Clone)]
pub(super) struct Recipe {
    pub(super) name: &'static str,
    pub(super) outputs: Vec<&'static str>,
    /// Recipes and their outputs.
    pub(super) inputs: Vec<(&'static str, &'static str)>,
    /// Libraries, those first that need others.
    pub(super) libraries: Vec<&'static str>,
    /// Variables that hold several inputs' paths.
    pub(super) lists: Vec<(&'static str, Vec<(&'static str, &'static str)>)>,
    pub(super) files: Vec<&'static str>,
    pub(super) script: String,
    pub(super) fixed: Option<Hash>,
    pub(super) fails: bool,
}

impl Recipe {
    /// A recipe with the output `out` and nothing else.
    pub(super) fn new(name: &'static str, script: impl Into<String>) -> Self {
        Self {
            name,
            outputs: vec!["out"],
            inputs: Vec::new(),
            libraries: Vec::new(),
            lists: Vec::new(),
            files: Vec::new(),
            script: script.into(),
            fixed: None,
            fails: false,
        }
    }

    /// A library: outputs `out` with `libNAME.a`, `include` with its header, `doc`. `check` comes before they are made.
    pub(super) fn library(
        name: &'static str,
        files: &[&'static str],
        libraries: &[&'static str],
        check: &str,
    ) -> Self {
        let script = format!(
            "unpack\ncompile {name}.c\n{check}mkdir -p $out $include $doc\narchive $out/lib{name}.a {name}.o\n\
             cp {name}.h $include/\ndescribe {name}.h > $doc/{name}.md\n"
        );
        Self::new(name, script)
            .outputs(&["out", "include", "doc"])
            .files(files)
            .libraries(libraries)
    }

    /// A program: outputs `out` with `bin/PROGRAM`, and `doc`.
    pub(super) fn program(
        name: &'static str,
        main: &'static str,
        libraries: &[&'static str],
    ) -> Self {
        let object = main.replace(".c", ".o");
        let program = name.strip_suffix("-tool").unwrap_or(name);
        let script = format!(
            "unpack\ncompile {main}\nmkdir -p $out/bin $doc\nlink-program $out/bin/{program} {object} $libraries\n\
             {{ echo '# {program}'; echo; describe {main}; }} > $doc/{program}.md\n"
        );
        Self::new(name, script)
            .outputs(&["out", "doc"])
            .files(&[main])
            .libraries(libraries)
    }

    /// A test program, which is run; the output is its report.
    pub(super) fn test(name: &'static str, main: &'static str, libraries: &[&'static str]) -> Self {
        let base = main.replace(".c", "");
        let script = format!(
            "unpack\ncompile {main}\nlink-program {base} {base}.o $libraries\nattempt ./{base}\n"
        );
        Self::new(name, script).files(&[main]).libraries(libraries)
    }

    /// A program from C that another derivation wrote.
    pub(super) fn generated(name: &'static str, source: &'static str) -> Self {
        let variable = source.replace('-', "_");
        let script = format!(
            "cp ${variable} {name}.c\ncompile {name}.c\nmkdir -p $out/bin\nlink-program $out/bin/{name} {name}.o\n"
        );
        Self::new(name, script).inputs(&[source])
    }

    pub(super) fn outputs(mut self, outputs: &[&'static str]) -> Self {
        self.outputs = outputs.to_vec();
        self
    }

    pub(super) fn inputs(mut self, names: &[&'static str]) -> Self {
        self.inputs.extend(names.iter().map(|name| (*name, "out")));
        self
    }

    pub(super) fn libraries(mut self, names: &[&'static str]) -> Self {
        self.libraries.extend(names);
        self
    }

    pub(super) fn list(
        mut self,
        variable: &'static str,
        output: &'static str,
        names: &[&'static str],
    ) -> Self {
        self.lists
            .push((variable, names.iter().map(|name| (*name, output)).collect()));
        self
    }

    pub(super) fn files(mut self, files: &[&'static str]) -> Self {
        self.files.extend(files);
        self
    }

    /// Its one output is a file with this SHA-256, a constant.
    pub(super) fn fixed(mut self, sha256: &'static str) -> Self {
        let hash = Hash::parse(HashAlgo::Sha256, sha256);
        self.fixed = Some(hash.expect("the test of the whole graph makes every recipe"));
        self
    }

    pub(super) fn fails(mut self) -> Self {
        self.fails = true;
        self
    }
}

/// A recipe whose script is the file of its name in `demo/scripts/`.
macro_rules! scripted {
    ($name:literal) => {
        $crate::demo::recipe::Recipe::new(
            $name,
            include_str!(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/demo/scripts/",
                $name,
                ".sh"
            )),
        )
    };
}
pub(super) use scripted;
