// Which machines have templates, and which share one; how many are kept. That a machine goes on from one, the tests of the command line prove.
using Lamina.Hypervisor.Templates;
using Xunit;

namespace Lamina.Tests.Hypervisor;

public sealed class TemplateStoreTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("lamina-templates-");

    public void Dispose() => _folder.Delete(recursive: true);

    private string Kernel
    {
        get
        {
            var path = Path.Combine(_folder.FullName, "kernel");
            if (!File.Exists(path)) File.WriteAllText(path, "a kernel");
            return path;
        }
    }

    private MachineDefinition Plain => new MachineDefinition { Boot = new BootSource { KernelPath = Kernel } }.With(new SerialDevice { To = new ConsoleTarget.Null() });

    [Fact]
    public void What_is_this_runs_alone_makes_no_other_machine()
    {
        var key = TemplateStore.KeyOf(Plain.With(new VsockDevice { Path = "/tmp/a" }));

        Assert.NotNull(key);
        Assert.Equal(key, TemplateStore.KeyOf(Plain.With(new VsockDevice { Path = "/tmp/b" }) with { Name = "web", Timeout = TimeSpan.FromSeconds(1), CodeArchive = "off" }));
    }

    [Fact]
    public void What_the_guest_can_see_does()
    {
        var key = TemplateStore.KeyOf(Plain);

        Assert.NotEqual(key, TemplateStore.KeyOf(Plain with { Cpus = 2 }));
        Assert.NotEqual(key, TemplateStore.KeyOf(Plain with { MemoryBytes = 1 << 30 }));
        Assert.NotEqual(key, TemplateStore.KeyOf(Plain.With(new NetworkDevice())));
        File.AppendAllText(Kernel, "s");
        Assert.NotEqual(key, TemplateStore.KeyOf(Plain));
    }

    [Fact]
    public void What_leads_to_this_hosts_things_has_none()
    {
        Assert.Null(TemplateStore.KeyOf(Plain.With(new ShareDevice { Path = "/srv", Tag = "srv" })));
        Assert.Null(TemplateStore.KeyOf(Plain.With(new DiskDevice { Path = "/srv/disk" })));
        Assert.Null(TemplateStore.KeyOf(Plain.With(new NetworkDevice { Link = new NetworkLink.Tap() })));
        Assert.Null(TemplateStore.KeyOf(Plain with { GdbPort = 1234 }));
        Assert.Null(TemplateStore.KeyOf(Plain.Without<SerialDevice>().With(new SerialDevice { To = new ConsoleTarget.Stdio() })));
        Assert.Null(TemplateStore.KeyOf(Plain with { Boot = new BootSource { KernelPath = "/nope" } }));
    }

    [Fact]
    public void Those_that_were_used_last_are_kept_and_what_is_being_written_stays_for_a_while()
    {
        var places = Enumerable.Range(0, TemplateStore.Most + 3).Select(number => _folder.CreateSubdirectory($"template{number}")).ToList();
        for (var i = 0; i < places.Count; i++) places[i].LastWriteTimeUtc = DateTime.UtcNow - TimeSpan.FromDays(i + 1);
        var store = new TemplateStore(_folder.FullName);
        var (fresh, old) = (_folder.CreateSubdirectory(".new-1"), _folder.CreateSubdirectory(".new-2"));
        old.LastWriteTimeUtc = DateTime.UtcNow - TimeSpan.FromDays(1);

        Assert.Equal(places[^1].FullName, store.Find(places[^1].Name));
        store.MakeRoom();

        Assert.Equal([places[^1].Name, .. places.Take(TemplateStore.Most - 2).Select(place => place.Name)], _folder.EnumerateDirectories("template*").OrderByDescending(place => place.LastWriteTimeUtc).Select(place => place.Name));
        Assert.True(Directory.Exists(fresh.FullName));
        Assert.False(Directory.Exists(old.FullName));
        store.Drop(places[0].Name);
        store.Drop("nope");
        Assert.Null(store.Find(places[0].Name));
    }
}
