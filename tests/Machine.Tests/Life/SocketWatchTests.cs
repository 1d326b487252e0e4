// Sockets whose files somebody takes away while a machine listens there: one sentence each.
using System.Net.Sockets;
using Lamina.Backends.Char;
using Lamina.Backends.Net.Switch;
using Lamina.Backends.Vsock;
using Lamina.Backends.Work;
using Lamina.Core.Logging;
using Lamina.Life;
using Xunit;

namespace Lamina.Tests.Machines.Life;

public sealed class SocketWatchTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("lamina-sockets-");
    private readonly List<string> _said = [];
    private readonly ManualTime _time = new();

    private string Place => Path.Combine(_folder.FullName, "run");

    private string Socket => Path.Combine(Place, "socket");

    public void Dispose() => _folder.Delete(recursive: true);

    private IDisposable Listen(string kind)
    {
        Directory.CreateDirectory(Place);
        switch (kind)
        {
            case "console":
                return new UnixSocketCharBackend(Socket);
            case "sockets":
                return new UnixSocketHost(Socket);
            default:
                var backend = new SwitchBackend(Socket, VlanMembership.Untagged);
                backend.Start();
                return backend;
        }
    }

    [Theory]
    [InlineData("console", "file")]
    [InlineData("console", "folder")]
    [InlineData("sockets", "file")]
    [InlineData("sockets", "folder is elsewhere")]
    [InlineData("switch", "file")]
    [InlineData("switch", "another's file")]
    public void A_socket_that_nobody_finds_any_more_is_told_of_once(string kind, string what)
    {
        using var backend = Listen(kind);
        using var watch = new SocketWatch(_time);
        watch.Add((IListener)backend, Log.To(line => _said.Add(line.Message), LogLevel.Warning).CreateLog("test"));
        _time.Fire();
        Assert.Empty(_said);

        switch (what)
        {
            case "file": File.Delete(Socket); break;
            case "folder": Directory.Delete(Place, recursive: true); break;
            case "folder is elsewhere": Directory.Move(Place, Place + ".old"); break;
            case "another's file": File.Delete(Socket); File.WriteAllText(Socket, "mine"); break;
            default: Assert.Fail(what); break;
        }
        _time.Fire();
        _time.Fire();

        Assert.Equal([$"the socket {Socket} is gone; who is connected stays, and nobody else can connect until the machine is started again"], _said);
        backend.Dispose();
        _time.Fire();
        Assert.Single(_said);
    }

    [Theory]
    [InlineData("console")]
    [InlineData("sockets")]
    [InlineData("switch")]
    public void The_end_of_one_who_listens_is_no_news_and_takes_the_file_along(string kind)
    {
        var backend = Listen(kind);
        using var watch = new SocketWatch(_time);
        watch.Add((IListener)backend, Log.To(line => _said.Add(line.Message), LogLevel.Warning).CreateLog("test"));
        Assert.True(File.Exists(Socket));

        backend.Dispose();
        _time.Fire();

        Assert.Empty(_said);
        Assert.False(File.Exists(Socket));
    }

    [Fact]
    public async Task A_machine_tells_of_its_console_and_goes_on()
    {
        using var kernel = new KernelFolder();
        Directory.CreateDirectory(Place);
        var spec = TestMachines.Spec(kernel).Without<SerialDevice>().With(new SerialDevice { To = new ConsoleTarget.Unix(Socket) });
        await using var machine = TestMachines.Create(spec, new MachineHooks { Time = _time, Log = Log.To(line => _said.Add(line.Message), LogLevel.Warning) }, TestMachines.Forever);
        var run = machine.RunAsync(TestContext.Current.CancellationToken);
        using var client = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await client.ConnectAsync(new UnixDomainSocketEndPoint(Socket), TestContext.Current.CancellationToken);

        Directory.Delete(Place, recursive: true);
        _time.Fire();
        _time.Fire();

        Assert.Contains($"the socket {Socket} is gone", Assert.Single(_said, said => said.Contains("socket", StringComparison.Ordinal)), StringComparison.Ordinal);
        Assert.False(run.IsCompleted);
        await machine.StopAsync(TestContext.Current.CancellationToken);
        Assert.Equal(MachineEnd.Stopped, (await run).End);
    }
}
