// Whatever cannot be on a command line is said before anything is fetched, built or made: each word here is refused on a host that
// has no image, and no program to make one with.
using Lamina.Tests.Cli.Support;
using Xunit;

namespace Lamina.Tests.Cli;

public sealed class BeforeFetchTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public BeforeFetchTests()
    {
        _folder.Folder("none");
        _folder.Folder("folder");
        File.WriteAllText(_folder.File("empty"), "");
        File.WriteAllBytes(_folder.File("raw"), new byte[4096]);
        File.CreateSymbolicLink(_folder.File("dangling"), "nowhere");
        using var pipe = System.Diagnostics.Process.Start("mkfifo", [_folder.File("pipe")]);
        pipe.WaitForExit();
    }

    public void Dispose() => _folder.Dispose();

    private async Task<Outcome> RunAsync(string image, params string[] words) => await LaminaProgram.RunAsync(["run", image, .. words], new Dictionary<string, string?>
    {
        ["PATH"] = _folder.File("none"),
        ["HOME"] = _folder.File("home"),
        ["XDG_CACHE_HOME"] = null,
        ["XDG_DATA_HOME"] = null,
    });

    // That the test would notice: with words that are right the image is asked for.
    [Theory]
    [InlineData("debian")]
    [InlineData("tiny")]
    public async Task Without_a_mistake_the_image_is_what_is_missing(string image)
    {
        var outcome = await RunAsync(image, "--memory", "512M", "--net", "user,publish=0:80", "--serial", $"file:{_folder.File("serial")}", "--share", $"{_folder.File("folder")}:tag");

        Assert.Equal(1, outcome.ExitCode);
        Assert.Matches("apt-get", Assert.Single(outcome.ErrorLines));
        Assert.False(File.Exists(_folder.File("serial")));
    }

    [Theory]
    [InlineData("--net bridged", "is no network")]
    [InlineData("--net", "--net needs a value")]
    [InlineData("--net user,", "has no option \"\"")]
    [InlineData("--net user,mtu=1", "use a number from 1280")]
    [InlineData("--net user,subnet=10.0.0.0/31", "is no network for a guest")]
    [InlineData("--net user,mac=zz", "is no network card's address")]
    [InlineData("--net user,mac=01:00:00:00:00:00", "cannot be a network card's address")]
    [InlineData("--net user,queues=99", "use a number from 1 to 8")]
    [InlineData("--net user,host=99999", "is no port")]
    [InlineData("--net user,dns=abc", "is no name server")]
    [InlineData("--net user,allow=abc", "is no destination")]
    [InlineData("--net tap=averyveryverylonginterface", "cannot be the name of an interface")]
    [InlineData("--net switch={}/no/switch", "the folder of the socket {}/no/switch does not exist")]
    [InlineData("--net switch={}/folder", "{}/folder exists and is not a socket")]
    [InlineData("--net switch={}/lan,vlan=5000", "use 1 to 4094")]
    [InlineData("--net socket={}/nobody", "nobody listens at the socket {}/nobody", 1)]
    [InlineData("--net none --publish 80:80", "--publish needs a network card")]
    [InlineData("--publish abc", "is no published port")]
    [InlineData("--publish 203.0.113.7:8081:80", "203.0.113.7 is no address of this host", 1)]
    [InlineData("--publish 8081:80 --publish 8081:81", "is published twice")]
    [InlineData("--serial foo", "is no serial target")]
    [InlineData("--serial memory", "is for programs")]
    [InlineData("--serial stdio,at-end=x", "there is no 'x'")]
    [InlineData("--serial stdio --serial null", "is given 2 times")]
    [InlineData("--serial file:{}/no/file", "its folder does not exist")]
    [InlineData("--serial file:{}/folder", "it is a folder")]
    [InlineData("--serial file:{}/pipe", "{}/pipe is a pipe")]
    [InlineData("--serial unix:{}/no/socket", "the folder of the socket {}/no/socket does not exist")]
    [InlineData("--serial unix:{}/empty", "{}/empty exists and is not a socket")]
    [InlineData("--serial unix:{}/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "is too long")]
    [InlineData("--share {}/no:tag", "there is no folder {}/no to share")]
    [InlineData("--share {}/empty:tag", "there is no folder {}/empty to share")]
    [InlineData("--share {}/folder", "is no shared folder")]
    [InlineData("--share {}/folder:t --share {}/folder:t", "have the same tag")]
    [InlineData("--vsock 1,path={}/s", "a guest's address (CID) is 3 to")]
    [InlineData("--vsock 3", "is no socket device")]
    [InlineData("--vsock 3,path={}/no/s", "the folder of the socket {}/no/s does not exist")]
    [InlineData("--vsock 3,path={}/folder", "{}/folder exists and is not a socket")]
    [InlineData("--gdb abc", "is not a TCP port")]
    [InlineData("--gdb 70000", "is not a TCP port")]
    [InlineData("--cpu foo", "there is no CPU model 'foo'")]
    [InlineData("--cpu host,+foo", "there is no CPU feature 'foo'")]
    [InlineData("--cpu ", "--cpu needs a value; write --cpu MODEL: what the virtual CPUs offer: host (")]
    [InlineData("--engine ", "--engine needs a value; write --engine ")]
    [InlineData("--memory ", "--memory needs a value; write --memory SIZE: ")]
    [InlineData("--kernel ", "--kernel needs a value; write --kernel PATH: ")]
    [InlineData("--cpus ", "--cpus needs a value; write --cpus ")]
    [InlineData("--cpus 0", "cannot have 0 CPUs")]
    [InlineData("--cpus abc", "is not a number of CPUs")]
    [InlineData("--cpus 256", "at most 255 CPUs")]
    [InlineData("--memory 512", "512 bytes of memory is too little; a machine needs at least 16 MiB; for MiB write 512M")]
    [InlineData("--memory 0", "0 bytes of memory is too little; a machine needs at least 16 MiB$")]
    [InlineData("--memory 512X", "is not a size")]
    [InlineData("--memory 1E", "more than a guest can address")]
    [InlineData("--disk {}/missing", "there is no disk image {}/missing")]
    [InlineData("--disk {}/dangling", "{}/dangling")]
    [InlineData("--disk {}/folder", "{}/folder is a folder")]
    [InlineData("--disk {}/pipe", "{}/pipe is a pipe")]
    [InlineData("--disk {}/empty", "the disk {}/empty has 0 bytes")]
    [InlineData("--disk {}/raw,format=qcow2", "no qcow2 image")]
    [InlineData("--disk {}/raw,format=vmdk", "there is no 'vmdk'")]
    [InlineData("--disk {}/raw,block-size=7", "use 512 or 4096")]
    [InlineData("--disk {}/raw --disk {}/raw", "is given twice")]
    [InlineData("--disk /dev/null", "/dev/null")]
    [InlineData("--timeout abc", "--timeout: 'abc'")]
    [InlineData("--stop-timeout abc", "--stop-timeout: 'abc'")]
    [InlineData("--debug-exit abc", "--debug-exit: 'abc'")]
    [InlineData("--debug-exit 0x10000", "--debug-exit: '0x10000'")]
    [InlineData("--engine foo", "--engine: there is no 'foo'")]
    [InlineData("--irqchip foo", "--irqchip: there is no 'foo'")]
    [InlineData("--machine foo", "--machine: there is no 'foo'")]
    [InlineData("--code-cache abc", "--code-cache: 'abc'")]
    [InlineData("--code-cache 100G", "the translator's code cannot have")]
    [InlineData("--code-archive {}/empty", "code-archive")]
    [InlineData("--trace {}/no/file", "{}/no/file")]
    [InlineData("--trace {}/folder", "{}/folder")]
    [InlineData("--inspect {}/no/file", "there is no folder {}/no")]
    [InlineData("--inspect {}/folder", "{}/folder")]
    [InlineData("--disk-size abc", "--disk-size: 'abc' is not a size")]
    [InlineData("--name A_B", "'A_B' cannot be a machine's name")]
    [InlineData("--hostname A_B", "'A_B' is not a host name")]
    [InlineData("--user A.B", "'A.B' is not a user's name")]
    [InlineData("--ssh-key {}/missing", "{}/missing")]
    [InlineData("--ssh-key {}/folder", "{}/folder")]
    [InlineData("--ssh-key {}/empty", "{}/empty")]
    [InlineData("--user-data {}/missing", "{}/missing")]
    [InlineData("--user-data {}/folder", "{}/folder")]
    [InlineData("--user-data {}/pipe", "{}/pipe")]
    [InlineData("--ssh-key {}/pipe", "{}/pipe")]
    [InlineData("--ephemeral --name x", "leave out one of them")]
    [InlineData("--initrd {}/missing", "initrd")]
    [InlineData("--module {}/raw", "--module is for a kernel of your own")]
    public async Task A_word_that_cannot_be_is_refused_before_an_image_is_asked_for(string words, string sentence, int code = 2)
    {
        string Named(string text) => text.Replace("{}", _folder.Path, StringComparison.Ordinal);

        var outcome = await RunAsync("debian", [.. Named(words).Split(' ')]);

        var said = Assert.Single(outcome.ErrorLines);
        if (sentence.EndsWith('$')) Assert.EndsWith(Named(sentence)[..^1], said, StringComparison.Ordinal);
        else Assert.Contains(Named(sentence), said, StringComparison.Ordinal);
        Assert.DoesNotContain("apt-get install", said, StringComparison.Ordinal);
        Assert.Equal(code, outcome.ExitCode);
        // Nothing is there but what is kept of code.
        foreach (var made in (string[])["home/.cache/lamina/images", "home/.local/share/lamina"]) Assert.False(Directory.Exists(_folder.File(made)), made);
    }
}
