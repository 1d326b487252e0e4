using Lamina.Images;
using Lamina.Tests.Cli.Support;
using Xunit;

namespace Lamina.Tests.Cli;

public sealed class ImageStoreTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly FakeRecipe _recipe = new("fake");
    private readonly Progress _progress = new();

    private ImageStore Store => new(_folder.File("images"), [_recipe]);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task An_image_is_built_once_and_found_from_then_on()
    {
        Assert.Null(Store.Find("fake"));

        var built = await Store.FindOrBuildAsync("fake", _progress, Cancellation);
        var found = await Store.FindOrBuildAsync("fake", _progress, Cancellation);

        Assert.Equal(1, _recipe.Builds);
        Assert.Equal(built, found);
        Assert.Equal("1.0+x", found.Version);
        Assert.Equal("kernel 1", File.ReadAllText(found.KernelPath));
        Assert.Equal("console=ttyS0", found.CommandLine);
        Assert.Null(found.InitrdPath);
    }

    [Theory]
    [InlineData("kernel", "")]
    [InlineData("kernel", "kern")]
    [InlineData("kernel", "kernel 1 and more")]
    [InlineData(ImageManifest.FileName, "")]
    [InlineData(ImageManifest.FileName, "{")]
    public async Task An_image_that_is_damaged_is_built_anew(string file, string content)
    {
        var built = await Store.FindOrBuildAsync("fake", _progress, Cancellation);
        File.WriteAllText(Path.Combine(built.Folder, file), content);

        Assert.Null(Store.Find("fake"));
        var again = await Store.FindOrBuildAsync("fake", _progress, Cancellation);

        Assert.Equal("kernel 2", File.ReadAllText(again.KernelPath));
        Assert.Equal(again, Store.Find("fake"));
    }

    [Fact]
    public async Task The_manifest_describes_the_files()
    {
        var image = await Store.BuildAsync("fake", _progress, Cancellation);

        var manifest = ImageManifest.FromJson(File.ReadAllBytes(Path.Combine(image.Folder, ImageManifest.FileName)));

        var file = Assert.Single(manifest.Files);
        // printf 'kernel 1' | sha256sum
        Assert.Equal(new ImageFile("kernel", 8, "7633ff3bf7b49e3d613efe233691ef7d21136e0eff72bbc6938e11938e2fdde5"), file);
        Assert.Equal(("fake", "1.0+x", 1), (manifest.Name, manifest.Version, manifest.Recipe));
        Assert.Equal(new ImagePackage("package", "1:1.0+x", "ab"), Assert.Single(manifest.Packages));
        Assert.Equal(["module"], manifest.Modules);
    }

    [Fact]
    public async Task A_new_build_replaces_the_old_one()
    {
        var old = await Store.BuildAsync("fake", _progress, Cancellation);

        var image = await Store.BuildAsync("fake", _progress, Cancellation);

        Assert.Equal("kernel 2", File.ReadAllText(image.KernelPath));
        Assert.False(Directory.Exists(old.Folder));
        Assert.Equal(image, Store.Find("fake"));
    }

    [Fact]
    public async Task A_build_that_gives_the_same_again_leaves_one_good_image()
    {
        _recipe.Content = _ => "same";
        await Store.BuildAsync("fake", _progress, Cancellation);

        var image = await Store.BuildAsync("fake", _progress, Cancellation);

        Assert.Equal("same", File.ReadAllText(image.KernelPath));
        Assert.Equal([".fake.lock", "fake"], Names(Store.Folder));
    }

    [Fact]
    public async Task A_build_that_fails_leaves_the_old_image_and_nothing_else()
    {
        var old = await Store.BuildAsync("fake", _progress, Cancellation);
        _recipe.Content = _ => throw new ImageException("no");

        await Assert.ThrowsAsync<ImageException>(() => Store.BuildAsync("fake", _progress, Cancellation));

        Assert.Equal(old, Store.Find("fake"));
        Assert.Equal([".fake.lock", "fake"], Names(Store.Folder));
    }

    [Fact]
    public async Task Another_image_is_built_and_removed_while_one_is_being_built()
    {
        var (begun, goesOn) = (new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously), new TaskCompletionSource());
        _recipe.Content = _ =>
        {
            begun.SetResult();
            goesOn.Task.Wait(Cancellation);
            return "kernel";
        };
        var store = new ImageStore(Store.Folder, [_recipe, new FakeRecipe("other")]);
        var build = Task.Run(() => store.BuildAsync("fake", _progress, Cancellation), Cancellation);
        await begun.Task;

        var other = await store.FindOrBuildAsync("other", _progress, Cancellation);
        Assert.Single(await store.RemoveAsync("other", Cancellation));

        Assert.False(build.IsCompleted);
        goesOn.SetResult();
        Assert.Equal("kernel", File.ReadAllText((await build).KernelPath));
        Assert.False(File.Exists(other.KernelPath));
    }

    [Fact]
    public async Task What_a_killed_build_of_another_image_left_goes_and_what_one_is_making_stays()
    {
        var left = Directory.CreateDirectory(Path.Combine(Store.Folder, ".scratch-left"));
        var made = Directory.CreateDirectory(Path.Combine(Store.Folder, ".scratch-made"));
        using (new FileStream(Path.Combine(Store.Folder, ".made.lock"), FileMode.Create, FileAccess.ReadWrite, FileShare.None)) await Store.BuildAsync("fake", _progress, Cancellation);

        Assert.False(Directory.Exists(left.FullName));
        Assert.True(Directory.Exists(made.FullName));
    }

    [Fact]
    public async Task A_build_that_is_cancelled_leaves_nothing()
    {
        using var source = new CancellationTokenSource();
        _recipe.Content = _ =>
        {
            source.Cancel();
            return "kernel";
        };

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => Store.BuildAsync("fake", _progress, source.Token));

        Assert.Null(Store.Find("fake"));
        Assert.Equal([".fake.lock"], Names(Store.Folder));
    }

    [Fact]
    public async Task What_a_killed_build_left_is_removed_by_the_next()
    {
        _folder.Folder("images/.scratch-fake/image");
        File.WriteAllText(_folder.File("images/.scratch-fake/image/kernel"), "half");

        await Store.BuildAsync("fake", _progress, Cancellation);

        Assert.Equal([".fake.lock", "fake"], Names(Store.Folder));
    }

    [Fact]
    public async Task An_image_of_an_older_recipe_is_built_again()
    {
        await Store.BuildAsync("fake", _progress, Cancellation);
        _recipe.Recipe = 2;

        Assert.Null(Store.Find("fake"));
        await Store.FindOrBuildAsync("fake", _progress, Cancellation);

        Assert.Equal(2, _recipe.Builds);
        Assert.NotNull(Store.Find("fake"));
    }

    [Fact]
    public async Task An_image_that_lost_a_file_is_built_again()
    {
        var image = await Store.BuildAsync("fake", _progress, Cancellation);
        File.Delete(image.KernelPath);

        Assert.Null(Store.Find("fake"));
        Assert.NotNull(await Store.FindOrBuildAsync("fake", _progress, Cancellation));
    }

    [Fact]
    public async Task Two_that_need_an_image_at_once_build_it_once()
    {
        var images = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Run(() => Store.FindOrBuildAsync("fake", new Progress(), Cancellation), Cancellation)));

        Assert.Equal(1, _recipe.Builds);
        Assert.Single(images.Distinct());
    }

    [Fact]
    public async Task Who_waits_for_another_builder_is_told_and_can_be_cancelled()
    {
        Directory.CreateDirectory(Store.Folder);
        using var other = new FileStream(Path.Combine(Store.Folder, ".fake.lock"), FileMode.Create, FileAccess.ReadWrite, FileShare.None);
        using var source = new CancellationTokenSource();
        _progress.Told = step =>
        {
            if (step.Contains("another process", StringComparison.Ordinal)) source.Cancel();
        };

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => Store.BuildAsync("fake", _progress, source.Token));

        Assert.Equal(0, _recipe.Builds);
    }

    [Fact]
    public async Task A_removed_image_is_gone_and_named()
    {
        var image = await Store.BuildAsync("fake", _progress, Cancellation);

        Assert.Equal([image.Folder], await Store.RemoveAsync("fake", Cancellation));

        Assert.Null(Store.Find("fake"));
        Assert.Equal([".fake.lock"], Names(Store.Folder));
        Assert.Empty(await Store.RemoveAsync("fake", Cancellation));
    }

    [Fact]
    public async Task The_list_shows_what_is_built_and_what_is_not()
    {
        Assert.Null(Assert.Single(Store.List()).Built);

        var image = await Store.BuildAsync("fake", _progress, Cancellation);

        var listing = Assert.Single(Store.List());
        Assert.Equal(("fake", "a fake", image), (listing.Name, listing.Description, listing.Built));
        Assert.True(image.Size > 8);
    }

    [Fact]
    public void A_name_that_no_recipe_has_is_refused() => Assert.Throws<ImageException>(() => Store.Find("../etc"));

    [Theory]
    [InlineData("6.1.192-2-r1-ce861ecf49e2", "6.1.192-2", 1)]
    [InlineData("6.1-r2-3-r12-aa", "6.1-r2-3", 12)]
    [InlineData("6.1", null, 0)]
    [InlineData("-r1-aa", null, 0)]
    [InlineData("6.1-rx-aa", null, 0)]
    [InlineData("../../6.1-r1-aa", null, 0)]
    public void The_folders_name_tells_version_and_recipe(string name, string? version, int recipe)
    {
        Assert.Equal(version is not null, ImageStore.TryParseFolder(name, out var parsed, out var number));
        if (version is not null) Assert.Equal((version, recipe), (parsed, number));
    }

    [Theory]
    [InlineData("")]
    [InlineData("{}")]
    [InlineData("null")]
    [InlineData("{\"name\":1}")]
    [InlineData("[")]
    [InlineData("[]")]
    [InlineData(WholeManifest + "x")]
    public void A_damaged_manifest_is_refused(string json) =>
        Assert.Throws<ImageException>(() => ImageManifest.FromJson(System.Text.Encoding.UTF8.GetBytes(json)));

    private const string WholeManifest = """{"name":"a","version":"1","recipe":1,"built":"2026-11-30T00:00:00Z","commandLine":"","files":[{"name":"f","size":1,"sha256":"0"}],"packages":[{"name":"p","version":"1","sha256":null}],"modules":["m"]}""";

    [Theory]
    [InlineData("\"a\"", "null")]
    [InlineData("\"recipe\":1", "\"recipe\":1.5")]
    [InlineData("\"recipe\":1,", "")]
    [InlineData("2026-11-30T00:00:00Z", "yesterday")]
    [InlineData("\"size\":1", "\"size\":\"1\"")]
    [InlineData("\"f\"", "\"\\ud800\"")]
    [InlineData(",\"sha256\":null", "")]
    [InlineData("[\"m\"]", "[null]")]
    [InlineData("[\"m\"]", "{}")]
    public void A_manifest_with_one_wrong_value_is_refused(string right, string wrong)
    {
        Assert.Equal("m", Assert.Single(ImageManifest.FromJson(System.Text.Encoding.UTF8.GetBytes(WholeManifest)).Modules));

        A_damaged_manifest_is_refused(WholeManifest.Replace(right, wrong, StringComparison.Ordinal));
    }

    private static IEnumerable<string> Names(string folder) => Directory.EnumerateFileSystemEntries(folder).Select(path => Path.GetFileName(path)).Order(StringComparer.Ordinal);

    private sealed class Progress : IProgress<ImageProgress>
    {
        public Action<string> Told { get; set; } = _ => { };

        public void Report(ImageProgress value) => Told(value.Step);
    }

    private sealed class FakeRecipe(string name) : IImageRecipe
    {
        private int _builds;

        public int Builds => _builds;

        public Func<int, string> Content { get; set; } = build => $"kernel {build}";

        public string Name => name;

        public string Description => "a fake";

        public int Recipe { get; set; } = 1;

        public string CommandLine => "console=ttyS0";

        public string Kernel => "kernel";

        public string? Initrd => null;

        public Task<ImageContents> BuildAsync(string scratch, string target, IProgress<ImageProgress> progress, CancellationToken cancellation)
        {
            File.WriteAllText(Path.Combine(target, Kernel), Content(Interlocked.Increment(ref _builds)));
            return Task.FromResult(new ImageContents("1.0+x", [new ImagePackage("package", "1:1.0+x", "ab")], ["module"]));
        }
    }
}
