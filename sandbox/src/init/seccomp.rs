//! Which system calls a build may not make.
//!
//! Nearly everything is kept from a build by its namespaces. What is left:
//!
//! * Keyrings belong to users, and all builds of an unprivileged agent are one user. Those calls say that the kernel
//!   has none (ENOSYS).
//! * Nix refuses to set the set-user-ID and set-group-ID bits (EPERM) and extended attributes (ENOTSUP), which cannot
//!   be kept in a nar; `chmod 4755` fails there. Guix does not: the same `chmod` succeeds, and the bits are gone when the
//!   output is made canonical.
//!
//! The program is classic BPF (seccomp(2)). It is written here and not by a library since it must know the 32-bit
//! calls of the same machine too: `i686-linux` is built on `x86_64-linux`.

use libc::{BPF_ABS, BPF_JEQ, BPF_JMP, BPF_JSET, BPF_K, BPF_LD, BPF_RET, BPF_W, sock_filter};

/// What becomes of a call.
#[derive(Clone, Copy)]
enum Rule {
    /// It fails with this error.
    Fail(i32),
    /// It fails with EPERM if this argument has a set-user-ID or set-group-ID bit.
    RefuseModes(u32),
}

/// The calls of one of a machine's two instruction sets.
struct Calls {
    /// `AUDIT_ARCH_…`, of linux/audit.h.
    architecture: u32,
    /// What of the number counts: x86-64 marks the calls of its x32 variant with a bit.
    mask: u32,
    chmod: &'static [(u32, u32)],
    setxattr: &'static [u32],
    keyring: &'static [u32],
}

/// `fchmodat2` and `setxattrat` have one number everywhere.
const FCHMODAT2: (u32, u32) = (452, 2);
const SETXATTRAT: u32 = 463;

#[cfg(target_arch = "x86_64")]
const MACHINE: &[Calls] = &[
    Calls {
        architecture: 0xc000_003e,
        mask: !0x4000_0000,
        chmod: &[(90, 1), (91, 1), (268, 2), FCHMODAT2],
        setxattr: &[188, 189, 190, SETXATTRAT],
        keyring: &[248, 249, 250],
    },
    Calls {
        architecture: 0x4000_0003,
        mask: !0,
        chmod: &[(15, 1), (94, 1), (306, 2), FCHMODAT2],
        setxattr: &[226, 227, 228, SETXATTRAT],
        keyring: &[286, 287, 288],
    },
];

#[cfg(target_arch = "aarch64")]
const MACHINE: &[Calls] = &[
    Calls {
        architecture: 0xc000_00b7,
        mask: !0,
        chmod: &[(52, 1), (53, 2), FCHMODAT2],
        setxattr: &[5, 6, 7, SETXATTRAT],
        keyring: &[217, 218, 219],
    },
    Calls {
        architecture: 0x4000_0028,
        mask: !0,
        chmod: &[(15, 1), (94, 1), (333, 2), FCHMODAT2],
        setxattr: &[226, 227, 228, SETXATTRAT],
        keyring: &[309, 310, 311],
    },
];

/// The generic table of calls, without a 32-bit companion that we know of.
#[cfg(target_arch = "riscv64")]
const MACHINE: &[Calls] = &[Calls {
    architecture: 0xc000_00f3,
    mask: !0,
    chmod: &[(52, 1), (53, 2), FCHMODAT2],
    setxattr: &[5, 6, 7, SETXATTRAT],
    keyring: &[217, 218, 219],
}];

#[cfg(not(any(
    target_arch = "x86_64",
    target_arch = "aarch64",
    target_arch = "riscv64"
)))]
compile_error!("the sandbox does not know this machine's system calls: add them to MACHINE");

/// Offsets in `struct seccomp_data`: number, architecture, address (8 bytes), arguments of 8 bytes. All machines in
/// the table are little-endian, so an argument's lower half comes first.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const ARGUMENTS: u32 = 16;

const SET_ID_BITS: u32 = 0o6000;

/// The filter.
pub(super) fn filter(refuse_privileged_modes: bool) -> Vec<sock_filter> {
    let mut program = Vec::new();
    for calls in MACHINE {
        let section = section(calls, refuse_privileged_modes);
        program.push(load(ARCHITECTURE));
        // Sections may be longer than the 255 instructions that a conditional jump reaches.
        program.push(jump(BPF_JEQ, calls.architecture, 1, 0));
        program.push(instruction(
            BPF_JMP | libc::BPF_JA,
            u32::try_from(section.len()).unwrap_or(u32::MAX),
            0,
            0,
        ));
        program.extend(section);
    }
    // Instruction sets that are not in the table cannot be filtered, so they are not run.
    program.push(give_back(libc::SECCOMP_RET_KILL_PROCESS));
    program
}

fn section(calls: &Calls, refuse_privileged_modes: bool) -> Vec<sock_filter> {
    let mut section = vec![
        load(NUMBER),
        instruction(libc::BPF_ALU | libc::BPF_AND | BPF_K, calls.mask, 0, 0),
    ];
    for number in calls.keyring {
        section.extend(rule(*number, Rule::Fail(libc::ENOSYS)));
    }
    if refuse_privileged_modes {
        for (number, argument) in calls.chmod {
            section.extend(rule(*number, Rule::RefuseModes(*argument)));
        }
        for number in calls.setxattr {
            section.extend(rule(*number, Rule::Fail(libc::ENOTSUP)));
        }
    }
    section.push(give_back(libc::SECCOMP_RET_ALLOW));
    section
}

fn rule(number: u32, rule: Rule) -> Vec<sock_filter> {
    let fail = |errno: i32| give_back(libc::SECCOMP_RET_ERRNO | errno.unsigned_abs());
    match rule {
        Rule::Fail(errno) => vec![jump(BPF_JEQ, number, 0, 1), fail(errno)],
        Rule::RefuseModes(argument) => vec![
            jump(BPF_JEQ, number, 0, 4),
            load(ARGUMENTS + 8 * argument),
            jump(BPF_JSET, SET_ID_BITS, 0, 1),
            fail(libc::EPERM),
            give_back(libc::SECCOMP_RET_ALLOW),
        ],
    }
}

fn load(offset: u32) -> sock_filter {
    instruction(BPF_LD | BPF_W | BPF_ABS, offset, 0, 0)
}

fn jump(condition: u32, value: u32, then: u8, otherwise: u8) -> sock_filter {
    instruction(BPF_JMP | condition | BPF_K, value, then, otherwise)
}

fn give_back(action: u32) -> sock_filter {
    instruction(BPF_RET | BPF_K, action, 0, 0)
}

fn instruction(code: u32, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter {
        code: u16::try_from(code).unwrap_or(u16::MAX),
        jt,
        jf,
        k,
    }
}
