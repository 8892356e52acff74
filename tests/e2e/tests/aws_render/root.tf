provider "aws" {
  region            = "us-east-1"
  s3_use_path_style = true
  endpoints {
    iam = "ENDPOINT"
    s3  = "ENDPOINT"
    sts = "ENDPOINT"
  }
}

module "issuer" {
  source = "../terraform"
}
