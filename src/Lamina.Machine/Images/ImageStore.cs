// The user's cache of built images: images/NAME/VERSION/ holds an image's files, images/NAME/current points to the one
// in use. A version's folder is complete from the moment it has its name: it is built aside, flushed to the disk and
// renamed. A lock keeps builders apart; who merely runs an image takes none.
using System.Security.Cryptography;
using Lamina.Folders;
using Lamina.Host;
using Lamina.Host.Io;
using Lamina.Images.Imported;

namespace Lamina.Images;

/// <summary>An image that can be booted.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Version">The version of its kernel.</param>
/// <param name="Folder">The folder with its files.</param>
/// <param name="KernelPath">The kernel.</param>
/// <param name="InitrdPath">The initial RAM disk; null where it has none.</param>
/// <param name="CommandLine">The kernel command line it boots with.</param>
public sealed record Image(string Name, string Version, string Folder, string KernelPath, string? InitrdPath, string CommandLine)
{
    /// <summary>The guest's disk, a qcow2 image that nobody writes; null where the guest lives in memory.</summary>
    public string? DiskPath { get; init; }

    /// <summary>Whether it was imported: nothing of its guest is Lamina's.</summary>
    public bool IsImported { get; init; }

    /// <summary>Bytes of memory that the guest is given where nobody says how much.</summary>
    public ulong Memory { get; init; }

    /// <summary>The sum of its files' sizes in bytes.</summary>
    public long Size => new DirectoryInfo(Folder).EnumerateFiles().Sum(file => file.Length);
}

/// <summary>An image there can be.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Description">What is in it, in a few words.</param>
/// <param name="Built">The built image; null where it has not been built.</param>
public sealed record ImageListing(string Name, string Description, Image? Built);

/// <summary>The built images of a user.</summary>
public sealed class ImageStore
{
    private const string Current = "current", Scratch = ".scratch-", LockSuffix = ".lock";
    private const int WouldBlock = 11; // errno(3): EWOULDBLOCK
    private const UnixFileMode Private = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;

    private readonly IReadOnlyList<IImageRecipe> _recipes;

    /// <summary>Uses a folder, which need not exist.</summary>
    public ImageStore(string folder) : this(folder, ImageRecipes.All)
    {
    }

    internal ImageStore(string folder, IReadOnlyList<IImageRecipe> recipes) => (Folder, _recipes) = (Path.GetFullPath(folder), recipes);

    /// <summary>The folder of the store.</summary>
    public string Folder { get; }

    /// <summary>The names of the images there can be: those that are built here, then those that were imported.</summary>
    public IReadOnlyList<string> Names => [.. _recipes.Select(recipe => recipe.Name), .. ImportedNames()];

    /// <summary>The store of the user: images below $XDG_CACHE_HOME/lamina, or ~/.cache/lamina.</summary>
    /// <exception cref="ImageException">The user has neither.</exception>
    public static ImageStore OfUser()
    {
        var cache = UserFolders.Cache ?? throw new ImageException("there is no folder for images: neither HOME nor XDG_CACHE_HOME names one");
        return new ImageStore(Path.Combine(cache, "images"));
    }

    /// <summary>The images there can be, and which of them are built.</summary>
    public IReadOnlyList<ImageListing> List() => [.. Names.Select(RecipeOf).Select(recipe => new ImageListing(recipe.Name, recipe.Description, Find(recipe)))];

    /// <summary>Finds a built image that is up to this program's recipe; null where there is none.</summary>
    /// <exception cref="ImageException">There is no image of that name.</exception>
    public Image? Find(string name) => Find(RecipeOf(name));

    /// <summary>Whether an image has a disk, so that a machine of its own is made for it; the others live in memory.</summary>
    /// <exception cref="ImageException">There is no image of that name.</exception>
    public bool HasDisk(string name) => RecipeOf(name).Disk is not null;

    /// <summary>Whether an image was imported, and not built here.</summary>
    public bool IsImported(string name) => _recipes.All(recipe => recipe.Name != name);

    /// <summary>Finds a built image, or builds it.</summary>
    /// <exception cref="ImageException">It cannot be built; the sentence says why.</exception>
    public async Task<Image> FindOrBuildAsync(string name, IProgress<ImageProgress> progress, CancellationToken cancellationToken = default)
    {
        var recipe = RecipeOf(name);
        return Find(recipe) ?? await BuildAsync(recipe, progress, useOthers: true, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Builds an image anew from the newest packages; the one built before stays in use until this one is complete.</summary>
    /// <exception cref="ImageException">It cannot be built; the sentence says why.</exception>
    public Task<Image> BuildAsync(string name, IProgress<ImageProgress> progress, CancellationToken cancellationToken = default) =>
        BuildAsync(RecipeOf(name), progress, useOthers: false, cancellationToken);

    /// <summary>Takes over an image that was made elsewhere; one of the same name stays in use until this one is complete.</summary>
    /// <exception cref="ImageException">It cannot be imported; the sentence says why.</exception>
    public Task<Image> ImportAsync(string name, ImageImport import, IProgress<ImageProgress> progress, CancellationToken cancellationToken = default)
    {
        if (!IsImported(name)) throw new ImageException($"there is an image {name} that is built here; give this one another --name");
        return BuildAsync(new ImportedImage(name, "", hasInitrd: false, import), progress, useOthers: false, cancellationToken);
    }

    /// <summary>Removes an image in all its versions, and what interrupted builds left; gives the paths that were removed.</summary>
    /// <exception cref="ImageException">There is no image of that name, or it cannot be removed.</exception>
    public async Task<IReadOnlyList<string>> RemoveAsync(string name, CancellationToken cancellationToken = default)
    {
        var folder = Path.Combine(Folder, RecipeOf(name).Name);
        if (!Directory.Exists(folder)) return [];
        try
        {
            using var gate = await LockAsync(name, null, cancellationToken).ConfigureAwait(false);
            RemoveScratch(name);
            string[] removed = [.. Directory.EnumerateDirectories(folder).Where(path => Path.GetFileName(path) != Current)];
            File.Delete(Path.Combine(folder, Current));
            Directory.Delete(folder, recursive: true);
            return removed;
        }
        catch (Exception failure) when (failure is (IOException and not ImageException) or UnauthorizedAccessException)
        {
            throw ImageException.FromFileSystem(Folder, failure);
        }
    }

    private IImageRecipe RecipeOf(string name) => _recipes.FirstOrDefault(recipe => recipe.Name == name)
        ?? (ImportedNames().Contains(name) ? ImportedImage.Find(name, Path.Combine(Folder, name, Current)) : null)
        ?? throw new ImageException($"there is no image '{name}'; there is {string.Join(", ", Names)}");

    private IEnumerable<string> ImportedNames() => !Directory.Exists(Folder) ? [] :
        Directory.EnumerateDirectories(Folder).Select(path => Path.GetFileName(path)).Order(StringComparer.Ordinal)
            .Where(name => name[0] != '.' && IsImported(name) && File.Exists(Path.Combine(Folder, name, Current, ImageManifest.FileName)));

    private Image? Find(IImageRecipe recipe)
    {
        var link = new DirectoryInfo(Path.Combine(Folder, recipe.Name, Current)).LinkTarget;
        if (link is null || !TryParseFolder(link, out var version, out var number) || number != recipe.Recipe) return null;
        var folder = Path.Combine(Folder, recipe.Name, link);
        var kernel = Path.Combine(folder, recipe.Kernel);
        var initrd = recipe.Initrd is null ? null : Path.Combine(folder, recipe.Initrd);
        var disk = recipe.Disk is null ? null : Path.Combine(folder, recipe.Disk);
        return IsWhole(folder, [kernel, initrd, disk])
            ? new Image(recipe.Name, version, folder, kernel, initrd, recipe.CommandLine) { DiskPath = disk, Memory = recipe.Memory, IsImported = recipe is ImportedImage }
            : null;
    }

    // Every file that a run needs is there, as long as it was written; one that is not is damaged, and the image is to be built anew.
    private static bool IsWhole(string folder, ReadOnlySpan<string?> needed)
    {
        var path = Path.Combine(folder, ImageManifest.FileName);
        if (!File.Exists(path)) return false;
        IReadOnlyList<ImageFile> files;
        try
        {
            files = ImageManifest.FromJson(File.ReadAllBytes(path)).Files;
        }
        catch (ImageException)
        {
            return false;
        }
        foreach (var file in needed)
            if (file is not null && !(new FileInfo(file) is { Exists: true } there && files.Any(known => known.Name == there.Name && known.Size == there.Length))) return false;
        return true;
    }

    private async Task<Image> BuildAsync(IImageRecipe recipe, IProgress<ImageProgress> progress, bool useOthers, CancellationToken cancellationToken)
    {
        try
        {
            Directory.CreateDirectory(Folder, Private);
            using var gate = await LockAsync(recipe.Name, progress, cancellationToken).ConfigureAwait(false);
            if (useOthers && Find(recipe) is { } built) return built;
            RemoveScratch(recipe.Name);
            CheckSpace(recipe.NeededSpace);
            var scratch = Directory.CreateDirectory(Path.Combine(Folder, Scratch + recipe.Name), Private).FullName;
            try
            {
                return await BuildAsideAsync(recipe, scratch, progress, cancellationToken).ConfigureAwait(false);
            }
            finally
            {
                RemoveScratch(recipe.Name);
            }
        }
        catch (Exception failure) when (failure is (IOException and not ImageException and not HostException) or UnauthorizedAccessException)
        {
            throw ImageException.FromFileSystem(Folder, failure);
        }
    }

    private async Task<Image> BuildAsideAsync(IImageRecipe recipe, string scratch, IProgress<ImageProgress> progress, CancellationToken cancellationToken)
    {
        var target = Directory.CreateDirectory(Path.Combine(scratch, "image")).FullName;
        var contents = await recipe.BuildAsync(scratch, target, progress, cancellationToken).ConfigureAwait(false);
        progress.Report(new ImageProgress("Writing the image to the disk", null));
        var files = Directory.GetFiles(target).Order(StringComparer.Ordinal).Select(Describe).ToArray();
        var manifest = new ImageManifest(recipe.Name, contents.Version, recipe.Recipe, DateTimeOffset.UtcNow, contents.CommandLine ?? recipe.CommandLine, files, contents.Packages, contents.Modules);
        await File.WriteAllBytesAsync(Path.Combine(target, ImageManifest.FileName), manifest.ToJson(), cancellationToken).ConfigureAwait(false);
        foreach (var file in Directory.GetFiles(target)) Flush(file);
        HostFiles.SyncDirectory(target);

        cancellationToken.ThrowIfCancellationRequested();
        Publish(recipe, scratch, target, FolderName(contents.Version, recipe.Recipe, string.Concat(files.Select(file => file.Sha256))));
        return Find(RecipeOf(recipe.Name)) ?? throw new ImageException($"the image {recipe.Name} was built but is not in {Folder}; is something else removing it?");
    }

    // From here on nothing waits and nothing is cancelled: two renames, the second of which switches over.
    private void Publish(IImageRecipe recipe, string scratch, string target, string name)
    {
        var home = Directory.CreateDirectory(Path.Combine(Folder, recipe.Name)).FullName;
        var final = Path.Combine(home, name);
        if (Directory.Exists(final)) Directory.Move(final, Path.Combine(scratch, "replaced"));
        Directory.Move(target, final);
        var link = Path.Combine(scratch, Current);
        File.CreateSymbolicLink(link, name);
        File.Move(link, Path.Combine(home, Current), overwrite: true);
        HostFiles.SyncDirectory(home);
        foreach (var old in Directory.EnumerateDirectories(home).Where(path => Path.GetFileName(path) is var other && other != name && other != Current))
            Directory.Delete(old, recursive: true);
    }

    // VERSION-rRECIPE-DIGEST: which image it is stands in the name.
    private static string FolderName(string version, int recipe, string digests)
    {
        var clean = string.Concat(version.Select(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '-' or '+' or '~' ? c : '_'));
        return $"{clean}-r{recipe}-{Convert.ToHexStringLower(SHA256.HashData(System.Text.Encoding.ASCII.GetBytes(digests)))[..12]}";
    }

    internal static bool TryParseFolder(string name, out string version, out int recipe)
    {
        (version, recipe) = ("", 0);
        var digest = name.LastIndexOf('-');
        var number = digest < 0 ? -1 : name.LastIndexOf("-r", digest, StringComparison.Ordinal);
        if (number <= 0 || !int.TryParse(name.AsSpan(number + 2, digest - number - 2), out recipe)) return false;
        version = name[..number];
        return !name.Contains('/', StringComparison.Ordinal);
    }

    private static ImageFile Describe(string path)
    {
        using var stream = File.OpenRead(path);
        return new ImageFile(Path.GetFileName(path), stream.Length, Convert.ToHexStringLower(SHA256.HashData(stream)));
    }

    private static void Flush(string path)
    {
        using var handle = File.OpenHandle(path, FileMode.Open, FileAccess.ReadWrite);
        RandomAccess.FlushToDisk(handle);
    }

    private void CheckSpace(long needed)
    {
        if (new DriveInfo(Folder).AvailableFreeSpace < needed) throw ImageException.Full(Folder);
    }

    // What is found while its image's lock is held, or can be, belongs to nobody: its builder was killed.
    private void RemoveScratch(string held)
    {
        foreach (var left in Directory.EnumerateDirectories(Folder, Scratch + "*"))
        {
            var image = Path.GetFileName(left)[Scratch.Length..];
            using var other = image == held ? null : TryLock(image);
            if (image == held || other is not null) HostMounts.RemoveFolder(left);
        }
    }

    private FileStream? TryLock(string image)
    {
        try
        {
            return new FileStream(Path.Combine(Folder, $".{image}{LockSuffix}"), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (IOException busy) when (busy.HResult == WouldBlock)
        {
            return null;
        }
    }

    // One at a time builds, takes over or removes an image; another image's lock is another.
    private async Task<FileStream> LockAsync(string image, IProgress<ImageProgress>? progress, CancellationToken cancellationToken)
    {
        for (var first = true; ; first = false)
        {
            if (TryLock(image) is { } mine) return mine;
            if (first) progress?.Report(new ImageProgress($"Waiting for another process that builds the image {image}", null));
            await Task.Delay(100, cancellationToken).ConfigureAwait(false);
        }
    }
}
