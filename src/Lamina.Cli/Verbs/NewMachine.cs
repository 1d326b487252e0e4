// What "lamina create" and "lamina apply" make: the words of the command line as a definition, checked before any image is fetched or built, and what
// there is to do in the new machine's folder.
using System.CommandLine;
using Lamina.Hypervisor.Stored;
using Lamina.Images;

namespace Lamina.Cli.Verbs;

/// <summary>A machine that is to be made.</summary>
internal sealed class NewMachine
{
    private readonly ParseResult _parsed;
    private readonly RunOptions _options;
    private readonly ulong? _size;
    private readonly Seed? _seed;

    private NewMachine(ParseResult parsed, RunOptions options, Image? image, ulong? size, Seed? seed) => (_parsed, _options, Image, _size, _seed) = (parsed, options, image, size, seed);

    /// <summary>The image that it is made of; null for a kernel of the user's, or firmware.</summary>
    public Image? Image { get; }

    /// <summary>Reads the words.</summary>
    /// <param name="parsed">The words.</param>
    /// <param name="options">What they mean.</param>
    /// <param name="name">The machine's name.</param>
    /// <exception cref="UsageException">Words do not go together.</exception>
    public static NewMachine Read(ParseResult parsed, RunOptions options, string name)
    {
        // All that the words say is checked before anything is fetched or made.
        Machine.Check(options.Apply(parsed, new MachineDefinition()).With(options.ReadSerial(parsed)));
        var image = parsed.GetValue(options.Image);
        if (parsed.GetValue(options.Kernel) is not null)
        {
            if (image is not null) throw new UsageException($"there is either an image to boot or a --kernel; leave out '{image}' or --kernel");
            RunSource.RefuseDiskWords(parsed, options, "a --kernel of your own");
            return new NewMachine(parsed, options, null, null, null);
        }
        if (FirmwareFetch.IsAsked(parsed, options)) return new NewMachine(parsed, options, null, null, null);
        if (RunOptions.AreGiven(parsed, options.Modules).Any()) throw new UsageException("--module is for a kernel of your own; name it with --kernel");
        RunSource.CheckInitrd(parsed, options);
        return OfImage(parsed, options, name, image ?? ImageVerb.DefaultImage);
    }

    /// <summary>Reads the words that say how a machine is made of an image.</summary>
    /// <exception cref="UsageException">Words are not for this image.</exception>
    public static NewMachine OfImage(ParseResult parsed, RunOptions options, string name, string image)
    {
        if (!ImageStore.OfUser().HasDisk(image))
        {
            RunSource.RefuseDiskWords(parsed, options, $"the image {image}, which lives in memory");
            return new NewMachine(parsed, options, RunSource.ImageOf(image), null, null);
        }
        var size = RunOptions.ReadSize(options.DiskSize.Name, parsed.GetValue(options.DiskSize), "40G");
        var seed = RunSource.ReadSeed(parsed, options, name, image);
        return new NewMachine(parsed, options, RunSource.ImageOf(image), size, seed);
    }

    /// <summary>The definition that is kept.</summary>
    public MachineDefinition Complete()
    {
        var from = Image is null ? new MachineDefinition() : MachineStore.Of(Image).With(new NetworkDevice());
        var definition = _options.Apply(_parsed, from);
        if (_parsed.GetValue(_options.Serial) is not null) definition = definition.Without<SerialDevice>().With(_options.ReadSerial(_parsed));
        FirmwareFetch.Ensure(definition);
        return definition.MapPaths(Path.GetFullPath);
    }

    /// <summary>Does what there is to do in its folder.</summary>
    public void Prepare(StoredMachine machine)
    {
        if (_size is { } size) machine.Grow(size);
        if (_seed is { } seed) machine.SetSeed(seed);
    }
}
