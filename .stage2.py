exec(open('.stage.py').read().split('s=open')[0])
import subprocess
def head(p): return subprocess.run(['git','show','HEAD:'+p],capture_output=True,check=True).stdout.decode()
s=open('src/startup/mod.rs').read().replace('mod check;\n','').replace('pub use check::{check, doubts};\n','').replace('pub use serve::serve;','pub use serve::{check, serve};'); stage('src/startup/mod.rs',s)
s=open('src/cli.rs').read().replace('''            let doubts = startup::doubts(&config);
            if !doubts.is_empty() {
                bail!("{}", doubts.join("\\n"));
            }
''',''); stage('src/cli.rs',s)
