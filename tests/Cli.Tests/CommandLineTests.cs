// The program as a user meets it: what it prints and how it ends, without a guest.
using Lamina.Cli;
using Lamina.Tests.Cli.Support;
using Xunit;

namespace Lamina.Tests.Cli;

public sealed class CommandLineTests
{
    [Fact]
    public void Each_verb_is_found_where_it_is_the_only_one_that_is_made()
    {
        foreach (var verb in Commands.Create([], []).Subcommands)
            Assert.Contains(verb.Name, Commands.Create([verb.Name], []).Subcommands.Select(made => made.Name));
    }

    [Theory]
    [InlineData("", "a command is missing")]
    [InlineData("rnu", "did you mean 'run'?")]
    [InlineData("frobnicate", "there is no command 'frobnicate'; 'lamina --help'")]
    [InlineData("list", "there is no command 'list'; there are 'lamina snapshot list', 'lamina image list' and 'lamina pool list'")]
    [InlineData("--frob", "there is no option '--frob'")]
    [InlineData("image", "a command is missing; 'lamina image --help'")]
    [InlineData("image buidl", "did you mean 'build'?")]
    [InlineData("image build huge", "there is no image 'huge'; there is tiny, debian")]
    [InlineData("image list tiny", "'tiny' is one word too many")]
    [InlineData("completion", "SHELL is missing")]
    [InlineData("completion tcsh", "there is no completion for 'tcsh'")]
    [InlineData("send-key web ctrl-foo", "there is no key \"foo\"; there are esc, 1, 2")]
    [InlineData("type web grün", "no key of the layout us gives 'ü' (U+00FC); choose the guest's layout by --layout")]
    [InlineData("type web a --layout xx", "there is no keyboard layout 'xx'; there are us, gb, de, fr")]
    [InlineData("run huge", "there is no image 'huge'")]
    [InlineData("run ubuntu", "there is no image 'ubuntu'; there is tiny, debian; 'lamina image import FILE --name ubuntu' makes one of a cloud image")]
    [InlineData("run ./x.qcow2", "to run the file, say 'lamina image import ./x.qcow2' first, or give it to a machine as a disk: --disk ./x.qcow2")]
    [InlineData("run docker.io/library/debian", "images of containers cannot be run, images of clouds can: 'lamina image import FILE'")]
    [InlineData("run tiny huge", "'huge' is one word too many")]
    [InlineData("run tiny --kernel k", "either an image to boot or a --kernel")]
    [InlineData("run --memry 1G", "did you mean '--memory'?")]
    [InlineData("run --memory", "--memory needs a value: SIZE")]
    [InlineData("run --memory 1X", "--memory: '1X' is not a size")]
    [InlineData("run --memory 1G --memory 2G", "--memory is given 2 times ('1G', '2G')")]
    [InlineData("run --serial own", "--serial: 'own' is for programs that run a machine themselves")]
    [InlineData("run debian --publish 8081:80 -p 8081:81", "the TCP port 8081 of the host is published twice, to the guest's ports 80 and 81")]
    [InlineData("run debian --disk a --disk a", "the disk a is given twice")]
    [InlineData("run debian --memory 512", "512 bytes of memory is too little; a machine needs at least 16 MiB; for MiB write 512M")]
    [InlineData("run --disk d,ro --disk d,chace=unsafe", "--disk: a disk has no option \"chace=unsafe\"")]
    [InlineData("run debian --share /nonexistent/folder:tag", "there is no folder /nonexistent/folder to share")]
    [InlineData("run --memory -1", "--memory: '-1' is not a size")]
    [InlineData("run --cpu pentium", "there is no CPU model 'pentium'; use host, x86-64-v1, x86-64-v2")]
    [InlineData("run --cpu host,-sse9", "there is no CPU feature 'sse9' that can be switched; there are: sse3 ssse3")]
    [InlineData("run --cpu host,avx2", "'avx2' in the CPU model 'host,avx2' is no switch; write -avx2 to take a feature away, +avx2 to add it")]
    [InlineData("run --cpus many", "--cpus: 'many' is not a number of CPUs")]
    [InlineData("run --engine magic", "--engine: there is no 'magic'; there are auto, kvm and translator")]
    [InlineData("run --machine mainframe", "--machine: there is no 'mainframe'; there are micro and pc")]
    [InlineData("run --serial modem", "\"modem\" is no serial target")]
    [InlineData("run --vsock 3", "\"3\" is no socket device; write it like 3,path=/tmp/guest.vsock")]
    [InlineData("run --vsock x,path=/tmp/s", "\"x\" is no socket device's address; write it like 3,path=/tmp/guest.vsock")]
    [InlineData("run --kernel k --vsock 2,path=/tmp/s", "a guest's address (CID) is 3 to 4294967294, not 2")]
    [InlineData("run --share folder", "\"folder\" is no shared folder")]
    [InlineData("run --kernel k --share /nonexistent/folder:tag", "there is no folder /nonexistent/folder to share")]
    [InlineData("run --timeout soon", "--timeout: 'soon' is not a time")]
    [InlineData("run --timeout 0", "--timeout: '0' is not a time")]
    [InlineData("run --debug-exit 65536", "--debug-exit: '65536' is not an I/O port")]
    [InlineData("run --gdb 65536", "--gdb: '65536' is not a TCP port")]
    [InlineData("run --gdb 1234,arch=mips", "--gdb: arch: there is no 'mips'; there are x86-64, i386, i8086 and auto")]
    [InlineData("run --gdb 1234,mode=16", "--gdb has no option \"mode=16\"; there are port=PORT, arch=x86-64|i386|i8086|auto")]
    [InlineData("run --ssh-key k", "--ssh-key is for an image with a disk, such as debian, and not for the image tiny")]
    [InlineData("run --kernel k --hostname h", "--hostname is for an image with a disk, such as debian, and not for a --kernel of your own")]
    [InlineData("run debian --name Web", "'Web' cannot be a machine's name")]
    [InlineData("run debian --name web --ephemeral", "a machine with a --name is kept")]
    [InlineData("run debian --hostname a.b", "--hostname: 'a.b' is not a host name")]
    [InlineData("run debian --user Root", "--user: 'Root' is not a user's name")]
    [InlineData("run debian --disk-size large", "--disk-size: 'large' is not a size")]
    [InlineData("run debian --ssh-key /nonexistent/key", "the ssh key /nonexistent/key cannot be read")]
    [InlineData("run debian --user-data /nonexistent/script", "the file /nonexistent/script cannot be read")]
    [InlineData("image import", "FILE is missing")]
    [InlineData("image import /nonexistent/image", "there is no file /nonexistent/image")]
    [InlineData("image import /proc/version --name A", "'A' cannot be an image's name")]
    [InlineData("image import /proc/version --initrd /proc/version", "--initrd is for a kernel of your own")]
    [InlineData("rm", "NAME… is missing")]
    [InlineData("rm ../x", "'../x' cannot be a machine's name")]
    [InlineData("run --module m", "--module is for a kernel of your own")]
    [InlineData("run --kernel k --trace /nonexistent/folder/trace", "--trace: /nonexistent/folder/trace cannot be written")]
    public async Task A_command_line_that_cannot_be_used_ends_in_one_sentence(string words, string sentence)
    {
        var outcome = await LaminaProgram.RunAsync(words.Split(' ', StringSplitOptions.RemoveEmptyEntries));

        Assert.Equal(2, outcome.ExitCode);
        var line = Assert.Single(outcome.ErrorLines);
        Assert.StartsWith("lamina: ", line, StringComparison.Ordinal);
        Assert.Contains(sentence, line, StringComparison.Ordinal);
        Assert.Empty(outcome.Output);
    }

    [Theory]
    [InlineData("--help", "run", "image", "completion")]
    [InlineData("help", "run", "image", "completion")]
    [InlineData("help run", "--kernel", "Exit codes:", "Ctrl-A X")]
    [InlineData("run --help", "--kernel", "Exit codes:", "Ctrl-A X")]
    [InlineData("run --memory --frob --help", "--kernel", "--memory", "--debug-exit")]
    [InlineData("image --help", "list", "build", "rm")]
    [InlineData("image build -h", "IMAGE", "tiny", "image build")]
    public async Task Help_is_given_on_standard_output(string words, params string[] shown)
    {
        var outcome = await LaminaProgram.RunAsync(words.Split(' '));

        Assert.Equal(0, outcome.ExitCode);
        Assert.Empty(outcome.Errors);
        Assert.All(shown, text => Assert.Contains(text, outcome.Output, StringComparison.Ordinal));
        Assert.All(outcome.Output.Split('\n'), line => Assert.InRange(line.Length, 0, 100));
    }

    [Fact]
    public async Task The_help_of_run_documents_every_exit_code()
    {
        var outcome = await LaminaProgram.RunAsync(["run", "--help"]);

        Assert.All((string[])["0 ", "1 ", "2 ", "10 ", "11 ", "70 ", "124 ", "129, 130, 143 ", "(v << 1) | 1"],
            code => Assert.Contains($"\n  {code}", outcome.Output, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("--version")]
    [InlineData("-V")]
    [InlineData("version")]
    public async Task The_version_is_printed_alone(string word) => Assert.Matches(@"^\d+\.\d+\.\d+\n$", (await LaminaProgram.RunAsync([word])).Output);

    [Theory]
    [InlineData("lamina run --eng", "--engine")]
    [InlineData("lamina run --engine ", "auto\nkvm\ntranslator")]
    [InlineData("lamina run --cpu ", "host\nx86-64-v1\nx86-64-v2\nx86-64-v3\nx86-64-v4")]
    [InlineData("lamina image ", "build\nimport\ninfo\nlist\nrm")]
    [InlineData("lamina run ti", "tiny")]
    [InlineData("lamina completion ", "bash\nfish\nzsh")]
    [InlineData("lamina run --net ", "none\nsocket=\nswitch=\ntap\nuser")]
    [InlineData("lamina run --net user,ip", "user,ipv6=off\nuser,ipv6=on")]
    [InlineData("lamina run --serial ", "file:\nnull\nstdio\nunix:")]
    [InlineData("lamina run --disk x,block", "x,block-size=4096\nx,block-size=512")]
    public async Task Words_are_completed(string typed, string completions)
    {
        var outcome = await LaminaProgram.RunAsync([$"[suggest:{typed.Length}]", typed]);

        Assert.Equal(0, outcome.ExitCode);
        var offered = outcome.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(completions.Split('\n'), offered.Where(word => !word.StartsWith('-') || typed.EndsWith("eng", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task Names_of_machines_are_completed()
    {
        using var home = new TemporaryFolder();
        foreach (var name in (string[])["db", "web"]) File.WriteAllText(Path.Combine(home.Folder($"machines/{name}"), "machine.json"), "{}");

        foreach (var (typed, completions) in ((string, string)[])[("lamina run --name ", "db\nweb\n"), ("lamina run --name w", "web\n")])
        {
            var outcome = await LaminaProgram.RunAsync([$"[suggest:{typed.Length}]", typed], new Dictionary<string, string?> { ["LAMINA_HOME"] = home.Path });

            Assert.Equal((0, completions, ""), (outcome.ExitCode, outcome.Output, outcome.Errors));
        }
    }

    [Fact]
    public async Task The_completion_script_completes_in_bash()
    {
        Assert.SkipUnless(File.Exists("/bin/bash"), "bash is not installed on this host");
        const string script = """
            source <("$1" completion bash)
            COMP_WORDS=("$1" run --engine "tr") COMP_CWORD=3 COMP_LINE="$1 run --engine tr" COMP_POINT=${#COMP_LINE}
            COMP_POINT=$((${#1} + 16))
            _lamina
            echo "${COMPREPLY[*]}"
            """;

        var outcome = await HostProcess.RunAsync("/bin/bash", ["-c", script, "bash", LaminaProgram.File]);

        Assert.Equal(("translator\n", ""), (outcome.Output, outcome.Errors));
    }

    [Fact]
    public async Task The_completion_script_completes_in_fish()
    {
        Assert.SkipUnless(File.Exists("/usr/bin/fish"), "fish is not installed on this host");
        const string script = "lamina completion fish | source; complete -C 'lamina run --engine tr'";
        using var home = new TemporaryFolder();

        var outcome = await HostProcess.RunAsync("/usr/bin/fish", ["--no-config", "-c", script], new Dictionary<string, string?>
        {
            ["PATH"] = $"{Path.GetDirectoryName(LaminaProgram.File)}:/usr/bin:/bin",
            ["HOME"] = home.Path,
        });

        Assert.Equal(("translator\n", ""), (outcome.Output, outcome.Errors));
    }

    [Fact]
    public async Task The_completion_script_is_understood_by_zsh()
    {
        Assert.SkipUnless(File.Exists("/usr/bin/zsh"), "zsh is not installed on this host");
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder.File("script"), (await LaminaProgram.RunAsync(["completion", "zsh"])).Output);

        var outcome = await HostProcess.RunAsync("/usr/bin/zsh", ["-n", folder.File("script")]);

        Assert.Equal((0, ""), (outcome.ExitCode, outcome.Errors));
    }
}
