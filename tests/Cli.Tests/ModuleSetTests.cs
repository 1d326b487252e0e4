using Lamina.Images;
using Lamina.Tests.Cli.Support;
using Xunit;

namespace Lamina.Tests.Cli;

public sealed class ModuleSetTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void What_a_module_depends_on_comes_before_it()
    {
        Add("a", "b,c");
        Add("b", "d");
        Add("c", "d");
        Add("d");
        Add("unrelated");

        var names = Collect(["a"]);

        Assert.Equal(["a", "b", "c", "d"], names.Order());
        Assert.True(names.IndexOf("d") < names.IndexOf("b") && names.IndexOf("d") < names.IndexOf("c"));
        Assert.Equal("a", names[^1]);
    }

    [Fact]
    public void The_table_lists_all_dependencies_with_what_is_inserted_first_last()
    {
        Add("a", "b");
        Add("b", "c");
        Add("c");

        var table = Set(["a"]).DependencyTable();

        Assert.Equal("kernel/c.ko:\nkernel/b.ko: kernel/c.ko\nkernel/a.ko: kernel/b.ko kernel/c.ko\n", table);
    }

    [Fact]
    public void Aliases_point_to_the_modules_that_serve_them()
    {
        File.WriteAllBytes(Path.Combine(_folder.Folder("kernel"), "virtio-rng.ko"), ModuleFile.Create("virtio_rng", "", "virtio:d00000004v*"));

        Assert.Equal("alias virtio:d00000004v* virtio_rng\n", Set(["virtio_rng"]).AliasTable());
    }

    [Fact]
    public void Hyphens_and_underscores_name_the_same_module()
    {
        File.WriteAllBytes(Path.Combine(_folder.Folder("kernel"), "virtio-rng.ko"), ModuleFile.Create("virtio_rng", "virtio-ring"));
        Add("virtio_ring");

        Assert.Equal(["virtio_ring", "virtio_rng"], Collect(["virtio_rng"]));
    }

    [Fact]
    public void What_is_built_into_the_kernel_is_not_packed()
    {
        Add("a", "b");
        File.WriteAllText(_folder.File("modules.builtin"), "kernel/drivers/b.ko\n");

        Assert.Equal(["a"], Collect(["a"]));
    }

    [Fact]
    public void An_optional_module_that_the_kernel_lacks_is_left_out()
    {
        Add("a");

        Assert.Equal(["a"], Set([], ["a", "missing"]).Modules.Select(module => module.Info.Name));
    }

    [Fact]
    public void A_required_module_that_is_missing_is_named()
    {
        _folder.Folder("kernel");

        Assert.Contains("virtio_mmio", Assert.Throws<ImageException>(() => Set(["virtio_mmio"])).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_dependency_that_is_missing_is_named_with_what_needs_it()
    {
        Add("a", "b");

        var message = Assert.Throws<ImageException>(() => Set(["a"])).Message;

        Assert.Contains("the module b, which a needs", message, StringComparison.Ordinal);
    }

    [Fact]
    public void Modules_that_depend_on_each_other_end_the_walk()
    {
        Add("a", "b");
        Add("b", "a");

        Assert.Equal(["a", "b"], Collect(["a"]).Order());
        Assert.Equal(2, Set(["a"]).DependencyTable().Split('\n', StringSplitOptions.RemoveEmptyEntries).Length);
    }

    [Fact]
    public void A_file_that_is_no_module_is_refused()
    {
        File.WriteAllText(Path.Combine(_folder.Folder("kernel"), "a.ko"), "text");

        Assert.Throws<ImageException>(() => Set(["a"]));
    }

    [Fact]
    public void A_compression_that_is_not_known_is_named()
    {
        File.WriteAllText(Path.Combine(_folder.Folder("kernel"), "a.ko.lz4"), "text");

        Assert.Contains(".lz4", Assert.Throws<ImageException>(() => Set(["a"])).Message, StringComparison.Ordinal);
    }

    private void Add(string name, string depends = "") =>
        File.WriteAllBytes(Path.Combine(_folder.Folder("kernel"), name + ".ko"), ModuleFile.Create(name, depends));

    private ModuleSet Set(string[] required, string[]? optional = null) => ModuleSet.Collect(_folder.Path, required, optional ?? []);

    private List<string> Collect(string[] required) => [.. Set(required).Modules.Select(module => module.Info.Name)];
}
