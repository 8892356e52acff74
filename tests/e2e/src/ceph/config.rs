//! The configuration of a cluster that starts in about two seconds and keeps nothing.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::error::GuardError;

/// What differs between two clusters.
pub(super) struct ClusterConfig<'a> {
    /// Where all its files live.
    pub(super) dir: &'a Path,
    /// The cluster's UUID.
    pub(super) fsid: String,
    /// The monitor's port on 127.0.0.1.
    pub(super) mon_port: u16,
    /// RGW's port on 127.0.0.1.
    pub(super) rgw_port: u16,
    /// The key that seals session tokens: 16 characters, as `rgw sts key` demands.
    pub(super) sts_key: String,
    /// Whether RGW logs every step.
    pub(super) verbose: bool,
}

impl ClusterConfig<'_> {
    /// The monitor's address, as Ceph writes it.
    pub(super) fn mon_address(&self) -> String {
        format!("v2:127.0.0.1:{}", self.mon_port)
    }

    /// Makes the directories, and writes `ceph.conf` for its owner alone.
    pub(super) fn write(&self) -> Result<PathBuf, GuardError> {
        for name in ["mon", "osd", "rgw", "crash"] {
            let path = self.dir.join(name);
            fs::create_dir(&path).map_err(|e| GuardError::file("create", &path, e))?;
        }
        let path = self.dir.join("ceph.conf");
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .and_then(|mut file| file.write_all(self.text().as_bytes()))
            .map_err(|e| GuardError::file("write", &path, e))?;
        Ok(path)
    }

    fn text(&self) -> String {
        let Self { fsid, rgw_port, sts_key, .. } = self;
        let dir = self.dir.display();
        let mon = self.mon_address();
        let debug = if self.verbose { 20 } else { 1 };
        // "ms mon client mode": without cephx, radosgw's own default "secure" fails with EACCES.
        // "paxos ...": a fresh cluster is a chain of small rounds; the default pause of 1 s between
        // them would be most of the start. The OSD looks for free ports from 6800 on by itself.
        format!(
            "\
[global]
fsid = {fsid}
mon host = {mon}
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind msgr1 = false
ms async op threads = 1
auth cluster required = none
auth service required = none
auth client required = none
ms mon client mode = crc
run dir = {dir}
admin socket =
log file = {dir}/$name.log
crash dir = {dir}/crash
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon max pg per osd = 1000
[mon]
mon data = {dir}/mon
mon cluster log file = {dir}/cluster.log
mon data avail warn = 0
mon data avail crit = 0
paxos propose interval = 0.01
paxos min wait = 0.01
[osd]
osd data = {dir}/osd
osd objectstore = memstore
osd class update on start = false
osd op num shards = 1
osd op num threads per shard = 2
[client.rgw]
rgw data = {dir}/rgw
rgw frontends = beast endpoint=127.0.0.1:{rgw_port}
rgw enable apis = s3, sts, iam, admin
rgw s3 auth use sts = true
rgw sts key = {sts_key}
rgw verify ssl = true
rgw thread pool size = 32
rgw rados pool pg num min = 1
rgw override bucket index max shards = 1
rgw dynamic resharding = false
rgw run sync thread = false
rgw enable lc threads = false
rgw enable usage log = false
debug rgw = {debug}
"
        )
    }
}
