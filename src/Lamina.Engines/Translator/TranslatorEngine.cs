// The translator as an engine: guest code of every mode is rewritten block by block into host code. No hardware support
// and no privilege needed.
using Lamina.Core.Engine;
using Lamina.Core.Inspection;
using Lamina.Core.Memory;
using Lamina.Engines.Translator.Archive;
using Lamina.Engines.Translator.Code;
using Lamina.Engines.Translator.Runtime;
using Lamina.Engines.Translator.Settings;
using Lamina.Engines.X86.Cpuid;
using Lamina.Host;

namespace Lamina.Engines.Translator;

/// <summary>The binary translator.</summary>
public sealed class TranslatorEngine(TranslatorSettings? settings = null) : IEngine
{
    private readonly TranslatorSettings _settings = settings ?? new TranslatorSettings();

    /// <inheritdoc/>
    public string Name => "translator";

    /// <inheritdoc/>
    /// <remarks>What its regions share, the jump cache of the supervisor's two, and one for each of the user's.</remarks>
    public int DescriptorsPerVcpu => 2 + _settings.UserRegions;

    /// <inheritdoc/>
    public ulong MostBytes(ulong guestBytes, int cpus) =>
        (ulong)_settings.CodeBufferBytes + (ulong)CodeBuffer.MostDescribedOf(_settings.CodeBufferBytes) + (ulong)cpus * TranslatorVcpu.MostBytes(guestBytes, cpus, _settings);

    /// <summary>Whether this host can run it: null, or a sentence that says what is missing.</summary>
    public static string? WhyNot()
    {
        try
        {
            HostRequirements.Check();
            return null;
        }
        catch (HostException missing)
        {
            return missing.Message;
        }
    }

    /// <summary>Whether translations can be kept in a folder, which is made if need be: null, or a sentence that says why not.</summary>
    public static string? WhyNotKeptIn(string folder)
    {
        try
        {
            TranslationArchive.OpenFolder(folder).Dispose();
            return null;
        }
        catch (HostException refused)
        {
            return refused.Message;
        }
    }

    /// <inheritdoc/>
    public IEngineMachine CreateMachine(EngineMachineOptions options) => new TranslatorMachine(options, _settings);
}

/// <summary>One machine's CPUs on the translator.</summary>
internal sealed class TranslatorMachine : IEngineMachine, IInspected, IGuestMemoryWatcher
{
    private const ulong MaximumMemoryEnd = 1ul << 40;

    // Each then has four regions of a TiB, and a process 128 TiB of addresses.
    private const int MaximumCpusWithLostRegions = 30;

    private readonly EngineMachineOptions _options;
    private readonly TranslatorSettings _settings;
    private readonly TranslationStore _store;
    private readonly X86.Cpuid.CpuModel _model;
    private readonly CacheTrimmer _trimmer;

    public TranslatorMachine(EngineMachineOptions options, TranslatorSettings settings)
    {
        HostRequirements.Check();
        // The page table of PhysicalPages costs a byte of the host for each page of the guest's.
        if (options.Memory.End > MaximumMemoryEnd) throw new HostException($"the translator runs guests with less than {MaximumMemoryEnd >> 40} TiB of memory; give the machine less");
        if (HostGsBase.Of(settings) == GsBaseChange.Lost && options.VcpuCount > MaximumCpusWithLostRegions)
            throw new HostException($"the translator runs machines of at most {MaximumCpusWithLostRegions} CPUs on a host whose kernel does not know FSGSBASE; give the machine fewer");
        _options = options;
        _settings = settings;
        _model = X86.Cpuid.CpuModel.ForHost(new CpuModelOptions { TscHz = options.Clock.TscHz, VcpuCount = options.VcpuCount, Selection = CpuSelection.Parse(options.CpuModel), Saved = options.CpuIdentity, MostPhysicalBits = options.MostPhysicalAddressBits });
        _store = new TranslationStore(options.Memory, settings, _model);
        options.Memory.Watch(this);
        _trimmer = new CacheTrimmer(_store, settings);
    }

    /// <inheritdoc/>
    public void Count(CounterList counters)
    {
        counters.Total("translator_blocks", _store.BlocksTranslated, "blocks of guest code that were translated");
        counters.Total("translator_instructions", _store.InstructionsTranslated, "instructions of the guest's that were translated");
        counters.Total("translator_invalidated_blocks", _store.BlocksInvalidated, "blocks that were given up because the guest's code changed");
        counters.Now("translator_code_bytes", _store.Buffer.Used, "generated code", CounterUnit.Bytes);
        counters.Now("translator_description_bytes", _store.Described, "what describes generated code", CounterUnit.Bytes);
        counters.Total("translator_drops", _store.Generation, "how often all translations were dropped");
        counters.Total("translator_drops_for_quiet", _trimmer.Trims, "how often because the machine was quiet");
        if (_store.Archivist is not { } archivist) return;
        counters.Total("archive_adopted_blocks", archivist.BlocksAdopted, "blocks from the archive");
        counters.Total("archive_adopted_pages", archivist.PagesAdopted, "pages from the archive");
        counters.Total("archive_added_pages", archivist.PagesAdded, "pages to the archive");
        counters.Total("archive_read_bytes", archivist.BytesRead, "read from the archive", CounterUnit.Bytes);
    }

    /// <inheritdoc/>
    public void Inspect(InspectNode node)
    {
        node.Kind = "translator";
        node.Say("cpu model", CpuModel);
    }

    /// <inheritdoc/>
    public string CpuModel => _model.Words;

    /// <inheritdoc/>
    public CpuIdentity CpuIdentity => _model.Identity;

    /// <inheritdoc/>
    public IReadOnlyList<string> CpuWithheld => _model.Withheld;

    /// <summary>Drops all translations, as a machine does that has become quiet.</summary>
    public void GiveTranslationsBack() => _store.GiveBack();

    /// <inheritdoc/>
    public IVcpu CreateVcpu(VcpuOptions options)
    {
        var vcpu = new TranslatorVcpu(options, _options, _settings, _model, _store);
        _store.World.Add(vcpu);
        return vcpu;
    }

    /// <inheritdoc/>
    public void Written(ulong address, ulong length) => _store.NoteWritten(address, length);

    /// <inheritdoc/>
    public void Conclude() => _store.Archivist?.Save();

    /// <inheritdoc/>
    public void Dispose()
    {
        _trimmer.Dispose();
        foreach (var vcpu in _store.World.Vcpus) vcpu.Dispose();
        _store.Dispose();
    }
}
