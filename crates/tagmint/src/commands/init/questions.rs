//! Questions on the terminal. Where there is none, every answer has to be given by its flag.

use std::{
    io::{self, BufRead as _, IsTerminal as _},
    path::Path,
};

use tagmint_core::{environment::Environment, trusted_issuer::IssuerKind};

use crate::{
    cli::InitArgs,
    error::CliError,
    generate::{
        CONFIG, KEY, RULES_TESTS,
        answers::{self, Answers},
        platform::{self, Question},
    },
    output::{Output, prompt},
};

/// Whose certificates the issuer orders.
const TERMS: &str = "https://letsencrypt.org/repository/";

/// Asks, or notes which flags are missing.
#[derive(Debug)]
pub(super) struct Questions {
    terminal: bool,
    missing: Vec<&'static str>,
}

impl Questions {
    pub(super) fn new(output: Output) -> Self {
        let terminal = !output.is_json() && io::stdin().is_terminal() && io::stderr().is_terminal();
        Self { terminal, missing: Vec::new() }
    }

    /// All answers: those of the flags, and what is asked.
    pub(super) fn answers(&mut self, args: InitArgs) -> Result<Answers, CliError> {
        let environment = self.ask(
            "--environment",
            args.environment,
            "Environment, prod or test",
            Some("test"),
            answers::environment,
        )?;
        let host =
            self.ask("--host", args.host, "Host name of the issuer, such as broker.example.org", None, answers::host)?;
        let kinds = format!("Kind of trusted issuer, one of {}", IssuerKind::ALL.map(IssuerKind::as_str).join(", "));
        let kind = self.ask("--kind", args.kind, &kinds, Some("github"), answers::kind)?;
        // Without a terminal the error names all missing flags at once, those of GitHub where the kind is missing too.
        let platform = platform::platform(kind.unwrap_or(IssuerKind::GITHUB));
        let repository = self.answer("--repository", args.repository, &platform.repository)?;
        let mut ids = [None, None];
        let given = [("--repository-id", args.repository_id), ("--owner-id", args.owner_id)];
        match &platform.ids {
            Some(questions) => {
                for ((id, (flag, given)), question) in ids.iter_mut().zip(given).zip(questions) {
                    *id = self.answer(flag, given, question)?;
                }
            }
            None => {
                if let (Some((flag, _)), Some(kind)) = (given.iter().find(|(_, given)| given.is_some()), kind) {
                    return Err(CliError::Usage(format!(
                        "{flag}: tokens of the kind `{kind}` have no such id. Leave it out"
                    )));
                }
            }
        }
        let parse = |text: &str| platform.parse_issuer(text, repository.as_deref());
        let issuer =
            args.issuer.map(|text| parse(&text).map_err(|reason| CliError::Usage(format!("--issuer: {reason}"))));
        let mut issuer = issuer.transpose()?;
        if let Some(question) = &platform.issuer {
            issuer = self.ask("--issuer", issuer, &asked(question), None, parse)?;
        }
        let account = self.ask("--account", args.account, "AWS account, twelve digits", None, answers::account)?;
        let region = self.ask("--region", args.region, "Region, such as eu-central-1", None, answers::region)?;
        let example = answers::example_bucket(environment.unwrap_or(Environment::Test));
        let fits = |text: &str| environment.map_or_else(|| answers::bucket(text), |it| answers::bucket_of(it, text));
        let bucket =
            args.bucket.map(|text| fits(&text).map_err(|reason| CliError::Usage(format!("--bucket: {reason}"))));
        let bucket = self.ask("--bucket", bucket.transpose()?, &format!("Bucket, such as {example}"), None, fits)?;
        if !self.terminal && !args.yes {
            self.missing.push("--yes");
        }
        let [repository_id, owner_id] = ids;
        match (environment, host, kind, repository, account, region, bucket, self.missing.as_slice()) {
            (
                Some(environment),
                Some(host),
                Some(kind),
                Some(repository),
                Some(account),
                Some(region),
                Some(bucket),
                [],
            ) => Ok(Answers {
                environment,
                host,
                kind,
                repository,
                repository_id,
                owner_id,
                issuer,
                account,
                region,
                bucket,
            }),
            _ => Err(self.nobody_to_ask()),
        }
    }

    fn nobody_to_ask(&self) -> CliError {
        let flags = self.missing.join(", ");
        let yes = if self.missing.contains(&"--yes") {
            format!(". --yes agrees to the terms of service of Let's Encrypt ({TERMS})")
        } else {
            String::new()
        };
        CliError::Usage(format!("there is no terminal to ask on. Give also {flags}{yes}"))
    }

    /// The answer to a question of a kind.
    fn answer(
        &mut self,
        flag: &'static str,
        given: Option<String>,
        question: &Question,
    ) -> Result<Option<String>, CliError> {
        let parse = |text: &str| question.parse(text);
        let given = given.map(|text| parse(&text).map_err(|reason| CliError::Usage(format!("{flag}: {reason}"))));
        self.ask(flag, given.transpose()?, &asked(question), None, parse)
    }

    /// The given answer; else that of the terminal, which is asked until it fits. None: there is no terminal.
    fn ask<T>(
        &mut self,
        flag: &'static str,
        given: Option<T>,
        question: &str,
        default: Option<&str>,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>, CliError> {
        if given.is_some() {
            return Ok(given);
        }
        if !self.terminal {
            self.missing.push(flag);
            return Ok(None);
        }
        loop {
            let hint = default.map(|default| format!(" [{default}]")).unwrap_or_default();
            let line = read_line(&format!("{question}{hint}: "))?
                .ok_or_else(|| CliError::Usage(format!("no answer. Give it with {flag}")))?;
            let text = if line.is_empty() { default.unwrap_or_default() } else { &line };
            if text.is_empty() {
                continue;
            }
            match parse(text) {
                Ok(value) => return Ok(Some(value)),
                Err(reason) => crate::output::write_note(&format!("  {reason}")),
            }
        }
    }

    /// Asks whether the files are to be written.
    pub(super) fn confirm(dir: &Path) -> Result<(), CliError> {
        let question = format!(
            "Write {CONFIG}, {KEY} and {RULES_TESTS} to {}, and agree to the terms of service of Let's Encrypt ({TERMS})? [y/N]: ",
            dir.display()
        );
        let line = read_line(&question)?.unwrap_or_default();
        if matches!(line.to_ascii_lowercase().as_str(), "y" | "yes") {
            Ok(())
        } else {
            Err(CliError::Refused("nothing was written".to_owned()))
        }
    }
}

/// A question of a kind, as it is asked.
fn asked(question: &Question) -> String {
    if question.hint.is_empty() {
        format!("{}, such as {}", question.text, question.example)
    } else {
        format!("{} ({})", question.text, question.hint)
    }
}

/// A line of the terminal, without white space around it. None: it is at its end.
fn read_line(question: &str) -> Result<Option<String>, CliError> {
    prompt(question);
    let mut line = String::new();
    let read =
        io::stdin().lock().read_line(&mut line).map_err(|source| CliError::Io { what: "the terminal", source })?;
    Ok((read > 0).then(|| line.trim().to_owned()))
}
