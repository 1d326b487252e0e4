// What an image is made by. A further image is a further recipe, in a folder of its own, listed here.
using Lamina.Images.Debian;
using Lamina.Images.Tiny;

namespace Lamina.Images;

/// <summary>Makes one kind of image.</summary>
internal interface IImageRecipe
{
    /// <summary>The name users give: lower-case letters.</summary>
    string Name { get; }

    /// <summary>What is in it, in a few words.</summary>
    string Description { get; }

    /// <summary>Images built by another number of the recipe are built again before they are used.</summary>
    int Recipe { get; }

    /// <summary>The kernel command line it boots with.</summary>
    string CommandLine { get; }

    /// <summary>The name of the kernel's file.</summary>
    string Kernel { get; }

    /// <summary>The name of the initial RAM disk's file; null where it has none.</summary>
    string? Initrd { get; }

    /// <summary>The name of the file with the guest's disk, which it finds as /dev/vda; null where it lives in memory.</summary>
    string? Disk => null;

    /// <summary>Bytes of memory that the guest is given where nobody says how much.</summary>
    ulong Memory => 256 << 20;

    /// <summary>Bytes that must be free in the cache folder for a build.</summary>
    long NeededSpace => 256 << 20;

    /// <summary>Builds the files.</summary>
    /// <param name="scratch">A private folder, removed afterwards, on the file system of the target.</param>
    /// <param name="target">An empty folder for the image's files.</param>
    /// <param name="progress">Is told what goes on.</param>
    /// <param name="cancellationToken">Ends the build; nothing needs to be cleaned up.</param>
    /// <exception cref="ImageException">It cannot be built.</exception>
    Task<ImageContents> BuildAsync(string scratch, string target, IProgress<ImageProgress> progress, CancellationToken cancellationToken);
}

/// <summary>What was built.</summary>
internal sealed record ImageContents(string Version, IReadOnlyList<ImagePackage> Packages, IReadOnlyList<string> Modules)
{
    /// <summary>The kernel command line, where it depends on what was built; null for the recipe's.</summary>
    public string? CommandLine { get; init; }
}

/// <summary>The recipes there are.</summary>
internal static class ImageRecipes
{
    /// <summary>All of them.</summary>
    public static IReadOnlyList<IImageRecipe> All { get; } = [new TinyImage(), new DebianImage()];
}
