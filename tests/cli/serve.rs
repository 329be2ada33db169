//! `serve` as a process: it makes things so without being asked, and ends on SIGTERM.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use crate::harness::LabBench;

#[test]
fn serve_makes_it_so_and_ends_cleanly_on_sigterm() {
    let bench = LabBench::new();
    let mut child = bench.command(&["serve"]).stderr(Stdio::piped()).spawn().expect("the binary was built");
    let lines = BufReader::new(child.stderr.take().expect("piped")).lines();
    let (mut logged, mut asked_to_end) = (Vec::new(), false);
    for line in lines {
        let line = line.expect("UTF-8");
        assert!(line.starts_with('{'), "without a terminal each log line is a JSON object: {line}");
        logged.push(line);
        let names = ["shop-db-01", "shop-web-01", "shop-report"];
        let all = bench.lab.world().with(|world| names.iter().all(|name| world.vm_named(name).is_some()));
        // Asked once; what it says afterwards is read too, to its end.
        if all && !asked_to_end {
            let pid = child.id().to_string();
            let asked = Command::new("kill").args(["-TERM", &pid]).status().expect("kill is part of the system");
            assert!(asked.success());
            asked_to_end = true;
        }
    }
    let code = child.wait().expect("it ends").code();
    assert_eq!(code, Some(0), "{logged:#?}");
}

#[test]
fn a_second_serve_is_refused_at_once() {
    let bench = LabBench::new();
    let mut first = bench.command(&["serve"]).stderr(Stdio::piped()).spawn().expect("the binary was built");
    let mut line = String::new();
    BufReader::new(first.stderr.take().expect("piped")).read_line(&mut line).expect("it says something");
    let second = bench.run(&["serve"]).expect(1);
    assert!(second.stderr.contains("serve"), "{}", second.stderr);
    first.kill().expect("it runs");
    first.wait().expect("it ends");
}
