//! Terraform, Kubernetes, Jenkins, AWS, and any other issuer.

use super::{
    Answers, Form, Item, Platform, Question, Setup, another, granted, is_prod, pairs, plain, refused, rule, table, with,
};

pub(super) const TERRAFORM: Platform = Platform {
    repository: Question::new("Workspace, as ORGANIZATION/WORKSPACE", "my-org/my-workspace", Form::Path(2, 2)),
    ids: Some([
        Question::new("Id of the workspace", "ws-mbsd5E3Ktt5Rg2Xn", Form::Beginning("ws-"))
            .hint("The workspace's page shows it"),
        Question::new("Id of the organization", "org-GRNbCjYNpBB6NEH8", Form::Beginning("org-"))
            .hint("`curl -H \"Authorization: Bearer $TOKEN\" https://app.terraform.io/api/v2/organizations/NAME` has it as `external-id`"),
    ]),
    issuer: None,
    setup: terraform,
    check: None,
};

fn terraform(answers: &Answers) -> Setup {
    let id = answers.id();
    let (organization, workspace) = answers.repository.split_once('/').unwrap_or_default();
    let prod = is_prod(answers);
    let full = format!("organization:{organization}:project:Default Project:workspace:{workspace}");
    let sub = |phase: &str| format!("{full}:run_phase:{phase}");
    let claims = pairs([
        ("terraform_organization_id", answers.owner()),
        ("terraform_organization_name", organization),
        ("terraform_workspace_id", id),
        ("terraform_workspace_name", workspace),
        ("terraform_full_workspace", &full),
        ("terraform_run_phase", "apply"),
        ("terraform_run_id", "run-X3n1AUXNGWbfECsJ"),
    ]);
    let (name, end) = if prod { ("terraform-apply", "apply") } else { ("terraform-run", "run") };
    let description = if prod {
        "The apply phase of the workspace's runs. A pull request can start a plan only."
    } else {
        "Each run of the workspace has its own prefix."
    };
    let mut made = rule(answers, name, description, &format!("terraform:${{terraform_workspace_id}}:{end}"))
        .matching([("terraform_workspace_id", id.into()), ("terraform_organization_id", answers.owner().into())]);
    let mut tests = vec![
        granted(
            "A run of the workspace",
            &sub("apply"),
            claims.clone(),
            (name, format!("terraform:{id}:{end}")),
            [("repository", id), ("run", "run-X3n1AUXNGWbfECsJ"), ("prefix", "terraform/run-X3n1AUXNGWbfECsJ")],
        ),
        refused(
            "Another workspace of the same name",
            &sub("apply"),
            with(&claims, [("terraform_workspace_id", another(id).into())]),
        ),
    ];
    if prod {
        made = made.matching([("terraform_run_phase", "apply".into())]);
        tests.push(refused("A plan", &sub("plan"), with(&claims, [("terraform_run_phase", "plan".into())])));
    }
    Setup {
        issuer: answers.issuer.clone(),
        note: Some("The workspace needs the variable TFC_WORKLOAD_IDENTITY_AUDIENCE with this audience."),
        rules: vec![made.tagged([
            ("repository", "${terraform_workspace_id}"),
            ("run", "${terraform_run_id}"),
            ("prefix", "terraform/${terraform_run_id}"),
        ])],
        tests,
        namespaces: if prod { Vec::new() } else { vec!["terraform/".to_owned()] },
    }
}

pub(super) const KUBERNETES: Platform = Platform {
    repository: Question::new("Service account, as NAMESPACE/NAME", "ci/builder", Form::Path(2, 2)),
    ids: None,
    issuer: Some(
        Question::new(
            "Issuer URL of the cluster",
            "https://oidc.eks.eu-central-1.amazonaws.com/id/EXAMPLED539D4633E53DE1B71EXAMPLE",
            Form::Url,
        )
        .hint("`kubectl get --raw /.well-known/openid-configuration | jq -r .issuer` prints it"),
    ),
    setup: kubernetes,
    check: None,
};

fn kubernetes(answers: &Answers) -> Setup {
    let (namespace, account) = answers.repository.split_once('/').unwrap_or_default();
    let claims = |namespace: &str, account: &str| {
        let service_account = table([("name", account), ("uid", "14ee3fa4-a7e2-420f-9f9a-dbc4507c3798")]);
        pairs([("kubernetes.io", table([("namespace", Item::from(namespace)), ("serviceaccount", service_account)]))])
    };
    let sub = |namespace: &str, account: &str| format!("system:serviceaccount:{namespace}:{account}");
    let name = "kubernetes-service-account";
    let prefix = format!("{namespace}/{account}");
    Setup {
        issuer: answers.issuer.clone(),
        note: None,
        rules: vec![
            rule(
                answers,
                name,
                "The service account has its own prefix.",
                "kubernetes:${namespace}:${service_account}",
            )
            .matching([("namespace", namespace.into()), ("service_account", account.into())])
            .tagged([("account", "${service_account}"), ("prefix", "${namespace}/${service_account}")]),
        ],
        tests: vec![
            granted(
                "The service account",
                &sub(namespace, account),
                claims(namespace, account),
                (name, format!("kubernetes:{namespace}:{account}")),
                [("account", account), ("prefix", &prefix)],
            ),
            refused("Another service account", &sub(namespace, "other"), claims(namespace, "other")),
            refused("The same name in another namespace", &sub("other", account), claims("other", account)),
        ],
        namespaces: Vec::new(),
    }
}

pub(super) const JENKINS: Platform = Platform {
    repository: Question::new("Job, with its folders", "my-folder/my-job/main", Form::Path(1, 20)),
    ids: None,
    issuer: Some(
        Question::new("Issuer URL of the credential", "https://jenkins.example.org/oidc/job/my-folder", Form::Url)
            .hint("The credential's page in Jenkins shows it; `https://HOST/oidc` for one of the whole controller"),
    ),
    setup: jenkins,
    check: Some(fits_jenkins),
};

/// Without this form of the issuer's URL tokens have no `job_path`, and a folder's credentials are for jobs in it.
fn fits_jenkins(job: &str, issuer: &str) -> Result<(), String> {
    let folder = issuer.split_once("/oidc/job/").map(|(_, folder)| folder.replace("/job/", "/"));
    match folder {
        Some(folder) if job.strip_prefix(&folder).is_some_and(|rest| rest.starts_with('/')) => Ok(()),
        Some(folder) => Err(format!(
            "`{issuer}` is the issuer of credentials of the folder `{folder}`, and the job `{job}` is not in it. Give the issuer that the \
             credential's page shows, such as `https://jenkins.example.org/oidc`"
        )),
        None if issuer.ends_with("/oidc") => Ok(()),
        None => Err(format!(
            "`{issuer}` ends neither in `/oidc` nor in `/oidc/job/FOLDER`. Give a URL such as `https://jenkins.example.org/oidc`"
        )),
    }
}

fn jenkins(answers: &Answers) -> Setup {
    let issuer = answers.issuer.as_deref().unwrap_or_default();
    let root = issuer.split_once("/oidc").map_or(issuer, |(root, _)| root);
    let job = answers.repository.as_str();
    let url = |job: &str| format!("{root}/job/{}/", job.replace('/', "/job/"));
    let claims = with(&pairs([("iss", issuer)]), [("build_number", 42.into())]);
    let (name, part) = ("jenkins-job", plain(job));
    Setup {
        issuer: answers.issuer.clone(),
        note: None,
        rules: vec![
            rule(answers, name, "Each build of the job has its own prefix.", &format!("jenkins:{part}:build"))
                .matching([("job_path", job.into())])
                .tagged([("run", "${build_number}"), ("prefix", &format!("job-{part}/run-${{build_number}}"))]),
        ],
        tests: vec![
            granted(
                "A build of the job",
                &url(job),
                claims.clone(),
                (name, format!("jenkins:{part}:build")),
                [("run", "42"), ("prefix", &format!("job-{part}/run-42"))],
            ),
            refused("Another job", &url(&format!("{job}-2")), claims),
        ],
        namespaces: Vec::new(),
    }
}

pub(super) const AWS: Platform = Platform {
    repository: Question::new("Role of the callers", "arn:aws:iam::210987654321:role/data-processing", Form::RoleArn),
    ids: None,
    issuer: Some(
        Question::new(
            "Issuer URL of the account",
            "https://abc12345-def4-5678-90ab-cdef12345678.tokens.sts.global.api.aws",
            Form::Url,
        )
        .hint("`aws iam enable-outbound-web-identity-federation` prints it"),
    ),
    setup: aws,
    check: None,
};

fn aws(answers: &Answers) -> Setup {
    const CLAIM: &str = "https://sts.amazonaws.com/";
    let arn = answers.repository.as_str();
    let account = arn.split(':').nth(4).unwrap_or_default();
    let role = arn.rsplit('/').next().unwrap_or_default();
    let claims = |account: &str| pairs([(CLAIM, table([("aws_account", account)]))]);
    let (name, part) = ("aws-role", plain(role));
    let (other, other_account) = (format!("{arn}-2"), another(account));
    let stranger = arn.replace(account, &other_account);
    Setup {
        issuer: answers.issuer.clone(),
        note: None,
        rules: vec![
            rule(answers, name, "Sessions of the role have one prefix.", &format!("aws:${{account_id}}:{part}"))
                .matching([("account_id", account.into()), ("role_name", role.into())])
                .tagged([("account", "${account_id}"), ("prefix", &format!("role-{part}"))]),
        ],
        tests: vec![
            granted(
                "A session of the role",
                arn,
                claims(account),
                (name, format!("aws:{account}:{part}")),
                [("account", account), ("prefix", &format!("role-{part}"))],
            ),
            refused("Another role of the account", &other, claims(account)),
            refused("A role of the same name in another account", &stranger, claims(&other_account)),
        ],
        namespaces: Vec::new(),
    }
}

pub(super) const OIDC: Platform = Platform {
    repository: Question::new("Subject (`sub`) of the tokens", "248289761001", Form::Line),
    ids: None,
    issuer: Some(
        Question::new("Issuer URL", "https://login.example.org/ci", Form::Url).hint("It is `iss` of the tokens"),
    ),
    setup: oidc,
    check: None,
};

fn oidc(answers: &Answers) -> Setup {
    let sub = answers.repository.as_str();
    let (name, part) = ("oidc-subject", plain(sub));
    Setup {
        issuer: answers.issuer.clone(),
        note: None,
        rules: vec![
            rule(answers, name, "The subject has its own prefix.", &format!("oidc:{part}"))
                .matching([("sub", sub.into())])
                .tagged([("prefix", &format!("sub-{part}"))]),
        ],
        tests: vec![
            granted(
                "The subject",
                sub,
                Vec::new(),
                (name, format!("oidc:{part}")),
                [("prefix", &format!("sub-{part}"))],
            ),
            refused("Another subject", &format!("{sub}-2"), Vec::new()),
        ],
        namespaces: Vec::new(),
    }
}
