//! From recipes to derivations.

use super::Toolchain;
use super::embedded::{COMMON_TOOLS, File, HOST_TOOLS, SEEDS_TOOLS, SOURCES};
use super::graph::{DemoGraph, Expected, GraphError, SourceContent};
use super::recipe::Recipe;
use grange_derivation::{Builder, Hash, Instantiated, StoreDir, StorePath, nar, paths};
use std::collections::BTreeMap;
use std::path::Path;

/// What recipes are turned into derivations with, and the derivations made so far.
#[derive(Debug)]
pub(super) struct Kit {
    store: StoreDir,
    system: String,
    shell: Shell,
    made: Vec<Instantiated>,
    by_name: BTreeMap<&'static str, usize>,
    sources: BTreeMap<StorePath, SourceContent>,
    expected: Expected,
}

/// What runs scripts.
#[derive(Debug)]
struct Shell {
    program: String,
    /// Before `-c SCRIPT`.
    args: Vec<&'static str>,
    source: Option<StorePath>,
    /// What comes after the tools in `PATH`.
    more_path: &'static str,
}

const TOOLS: &str = "tools";

impl Kit {
    /// A kit with one derivation in it: the tools that all others use.
    pub(super) fn new(toolchain: &Toolchain, store: &StoreDir) -> Result<Self, GraphError> {
        let mut kit = Self {
            store: store.clone(),
            system: toolchain.system(),
            shell: Shell {
                program: "/bin/sh".to_owned(),
                args: vec!["-eu"],
                source: None,
                more_path: ":/usr/bin:/bin",
            },
            made: Vec::new(),
            by_name: BTreeMap::new(),
            sources: BTreeMap::new(),
            expected: Expected::default(),
        };
        match toolchain {
            Toolchain::Seeds { busybox, tcc } => {
                let busybox = kit.directory("busybox", busybox)?;
                let tcc = kit.directory("tcc", tcc)?;
                kit.shell = Shell {
                    program: format!("{busybox}/bin/busybox"),
                    args: vec!["sh", "-eu"],
                    source: Some(busybox.clone()),
                    more_path: "",
                };
                kit.tools(
                    SEEDS_TOOLS,
                    &[("busybox", busybox), ("tcc", tcc)],
                    SEEDS_SCRIPT,
                )?;
            }
            Toolchain::Host { .. } => kit.tools(HOST_TOOLS, &[], HOST_SCRIPT)?,
        }
        Ok(kit)
    }

    /// Writes a recipe's derivation. Everything that it names must have been written before.
    pub(super) fn write(&mut self, recipe: &Recipe) -> Result<(), GraphError> {
        let mut inputs: Vec<(&'static str, &'static str)> = vec![(TOOLS, "out")];
        let mut builder = self.shell(recipe.name, &recipe.script);
        let tools = self.output(recipe.name, (TOOLS, "out"))?;
        builder = builder.env("PATH", format!("{tools}/bin{}", self.shell.more_path));

        for &input in &recipe.inputs {
            let suffix = if input.1 == "out" {
                String::new()
            } else {
                format!("_{}", input.1)
            };
            builder = builder.env(
                variable(input.0) + &suffix,
                self.output(recipe.name, input)?.to_string(),
            );
            inputs.push(input);
        }
        for (variable, list) in &recipe.lists {
            let paths: Vec<_> = list
                .iter()
                .map(|input| self.output(recipe.name, *input))
                .collect::<Result<_, _>>()?;
            builder = builder.env(*variable, joined(&paths));
            inputs.extend(list);
        }
        let (mut archives, mut includes) = (Vec::new(), Vec::new());
        for &library in &recipe.libraries {
            archives.push(format!(
                "{}/lib{library}.a",
                self.output(recipe.name, (library, "out"))?
            ));
            includes.push(self.output(recipe.name, (library, "include"))?);
            inputs.extend([(library, "out"), (library, "include")]);
        }
        builder = builder
            .env("libraries", joined(&archives))
            .env("includes", joined(&includes));
        let mut files = Vec::new();
        for &name in &recipe.files {
            let file = SOURCES
                .iter()
                .find(|file| file.name == name)
                .ok_or_else(|| missing(recipe.name, name))?;
            let path = self.text(file)?;
            builder = builder.source(path.clone());
            files.push(path);
        }
        builder = builder.env("files", joined(&files));
        for output in &recipe.outputs {
            builder = builder.output(*output);
        }
        if let Some(hash) = recipe.fixed {
            builder = builder.fixed(false, hash);
        }
        let mut lost = false;
        for (name, output) in inputs {
            let input = self.find(recipe.name, name)?;
            lost |= !self.expected.succeeded.contains(&input.path);
            builder = builder.input(input, &[output]);
        }
        self.keep(recipe.name, builder, recipe.fails, lost)
    }

    /// The path of a derivation that was written.
    pub(super) fn path(&self, name: &'static str) -> Result<StorePath, GraphError> {
        self.find(name, name).map(|made| made.path.clone())
    }

    /// All that was written; nothing of it is a root yet.
    pub(super) fn finish(self) -> DemoGraph {
        DemoGraph {
            derivations: self.made,
            sources: self.sources.into_iter().collect(),
            roots: Vec::new(),
            expected: self.expected,
            sandbox_paths: Vec::new(),
        }
    }

    /// The derivation with the scripts `compile`, `link` and so on, in which `@shell@` and the like are replaced.
    fn tools(
        &mut self,
        own: &[File],
        directories: &[(&str, StorePath)],
        script: &str,
    ) -> Result<(), GraphError> {
        let mut builder = self.shell(TOOLS, script);
        for (name, path) in directories {
            builder = builder.source(path.clone()).env(*name, path.to_string());
        }
        let mut files = Vec::new();
        for file in own.iter().chain(COMMON_TOOLS) {
            let path = self.text(file)?;
            builder = builder.source(path.clone());
            files.push(path);
        }
        self.keep(TOOLS, builder.env("files", joined(&files)), false, false)
    }

    /// Starts a derivation that runs a script.
    fn shell(&self, name: &str, script: &str) -> Builder {
        let shell = &self.shell;
        let builder = Builder::new(
            &self.store,
            name,
            self.system.as_str(),
            shell.program.as_str(),
        );
        let builder = builder
            .args(shell.args.iter().copied())
            .arg("-c")
            .arg(script);
        shell
            .source
            .iter()
            .fold(builder, |builder, source| builder.source(source.clone()))
    }

    fn keep(
        &mut self,
        name: &'static str,
        builder: Builder,
        fails: bool,
        lost: bool,
    ) -> Result<(), GraphError> {
        let made = builder
            .instantiate()
            .map_err(|source| GraphError::Derivation {
                name: name.to_owned(),
                source,
            })?;
        let ends = match (lost, fails) {
            (true, _) => &mut self.expected.failed_dependency,
            (false, true) => &mut self.expected.failed,
            (false, false) => &mut self.expected.succeeded,
        };
        ends.insert(made.path.clone());
        self.by_name.insert(name, self.made.len());
        self.made.push(made);
        Ok(())
    }

    fn find(&self, recipe: &str, name: &str) -> Result<&Instantiated, GraphError> {
        self.by_name
            .get(name)
            .map(|at| &self.made[*at])
            .ok_or_else(|| missing(recipe, name))
    }

    fn output(&self, recipe: &str, (name, output): (&str, &str)) -> Result<StorePath, GraphError> {
        let path = self.find(recipe, name)?.output(output).cloned();
        path.ok_or_else(|| missing(recipe, &format!("{name}:{output}")))
    }

    /// Adds a file of this crate.
    fn text(&mut self, file: &File) -> Result<StorePath, GraphError> {
        let hash = Hash::sha256(file.content)
            .to_sha256()
            .expect("SHA-256 was asked for");
        let path = paths::text_path(&self.store, file.name, [], &hash).map_err(|source| {
            GraphError::Source {
                name: file.name.to_owned(),
                source,
            }
        })?;
        self.sources
            .insert(path.clone(), SourceContent::Text(file.content.to_vec()));
        Ok(path)
    }

    /// Adds a directory of this host.
    fn directory(&mut self, name: &str, directory: &Path) -> Result<StorePath, GraphError> {
        let digested = nar::digest_path(directory).map_err(|source| GraphError::Toolchain {
            path: directory.to_owned(),
            source,
        })?;
        let path = paths::source_path(&self.store, name, [], false, &digested.sha256).map_err(
            |source| GraphError::Source {
                name: name.to_owned(),
                source,
            },
        )?;
        self.sources
            .insert(path.clone(), SourceContent::Path(directory.to_owned()));
        Ok(path)
    }
}

const SEEDS_SCRIPT: &str = "\
bb=$busybox/bin/busybox
$bb mkdir -p $out/bin
for applet in $($bb --list); do
    $bb ln -s $bb $out/bin/$applet
done
for file in $files; do
    name=${file##*/}
    $bb sed \"s|@shell@|$bb sh|; s|@tcc@|$tcc|g\" $file > $out/bin/${name#*-}
    $bb chmod 755 $out/bin/${name#*-}
done
";

const HOST_SCRIPT: &str = "\
PATH=/usr/bin:/bin
mkdir -p $out/bin
for file in $files; do
    name=${file##*/}
    sed 's|@shell@|/bin/sh|' $file > $out/bin/${name#*-}
    chmod 755 $out/bin/${name#*-}
done
cc --version
";

fn missing(recipe: &str, missing: &str) -> GraphError {
    GraphError::Missing {
        recipe: recipe.to_owned(),
        missing: missing.to_owned(),
    }
}

fn variable(name: &str) -> String {
    name.replace('-', "_")
}

fn joined<T: ToString>(items: &[T]) -> String {
    items
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(" ")
}
