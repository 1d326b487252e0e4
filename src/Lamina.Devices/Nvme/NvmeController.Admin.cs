// Commands to the controller itself (NVM Express 1.4, 5): queues, what it says of itself, features, events. On the worker of the admin's queue.
using System.Buffers.Binary;
using Lamina.Core.State;
using Lamina.Devices.Media;
using static Lamina.Devices.Nvme.NvmeSpec;

namespace Lamina.Devices.Nvme;

public sealed partial class NvmeController
{
    // Log pages (5.14.1): errors, health, firmware.
    private const int ErrorPage = 1, HealthPage = 2, FirmwarePage = 3;

    // Null: it has no end yet.
    private NvmeResult? Administrate(in NvmeCommand command, SubmissionQueue queue)
    {
        if (command.IsFused) return new(NvmeStatus.InvalidField);
        switch ((AdminOpcode)command.Opcode)
        {
            case AdminOpcode.CreateCompletionQueue:
                return new(CreateCompletions(command));
            case AdminOpcode.CreateSubmissionQueue:
                return new(CreateSubmissions(command));
            case AdminOpcode.DeleteCompletionQueue:
                return new(DeleteCompletions((int)(command.Word(10) & 0xffff)));
            case AdminOpcode.DeleteSubmissionQueue:
                return new(DeleteSubmissions((int)(command.Word(10) & 0xffff)));
            case AdminOpcode.Identify:
                return new(Identify(command, queue.Memory));
            case AdminOpcode.GetLogPage:
                return new(GetLogPage(command, queue.Memory));
            case AdminOpcode.Abort:
                // Bit 0: it was not aborted, as commands are carried out as soon as they are taken (5.1).
                return new(NvmeStatus.Success, 1);
            case AdminOpcode.SetFeatures:
                return SetFeature(command);
            case AdminOpcode.GetFeatures:
                return GetFeature(command);
            case AdminOpcode.AsynchronousEventRequest:
                return AskForEvent(command.Id);
            case AdminOpcode.DoorbellBufferConfig:
                return new(SetDoorbellBuffers(command));
            default:
                return new(NvmeStatus.InvalidOpcode);
        }
    }

    private NvmeStatus CreateCompletions(in NvmeCommand command)
    {
        const uint contiguous = 1, interrupts = 2;
        var (id, size, attributes) = ((int)(command.Word(10) & 0xffff), (int)(command.Word(10) >> 16) + 1, command.Word(11));
        lock (_gate)
        {
            if (id == 0 || id > _queues || _completions[id] is not null) return NvmeStatus.InvalidQueue;
            if (size is < 2 or > MostEntries) return NvmeStatus.InvalidQueueSize;
            if (attributes >> 16 > _queues) return NvmeStatus.InvalidVector;
            if ((attributes & contiguous) == 0 || !EntriesAre(CompletionEntryShift, CompletionEntryPower) || !_memory.IsRam(command.Prp1, (ulong)(size * CompletionLength))) return NvmeStatus.InvalidField;
            if (command.Prp1 % PageLength != 0) return NvmeStatus.InvalidPrpOffset;
            _completions[id] = new CompletionQueue { Id = id, Address = command.Prp1, Size = size, Interrupts = (attributes & interrupts) != 0, Vector = (int)(attributes >> 16) };
            return NvmeStatus.Success;
        }
    }

    private NvmeStatus CreateSubmissions(in NvmeCommand command)
    {
        const uint contiguous = 1;
        var (id, size, attributes) = ((int)(command.Word(10) & 0xffff), (int)(command.Word(10) >> 16) + 1, command.Word(11));
        var completions = (int)(attributes >> 16);
        lock (_gate)
        {
            if (id == 0 || id > _queues || _submissions[id] is not null) return NvmeStatus.InvalidQueue;
            if (completions == 0 || completions > _queues || _completions[completions] is null) return NvmeStatus.InvalidCompletionQueue;
            if (size is < 2 or > MostEntries) return NvmeStatus.InvalidQueueSize;
            if ((attributes & contiguous) == 0 || !EntriesAre(SubmissionEntryShift, SubmissionEntryPower) || !_memory.IsRam(command.Prp1, (ulong)(size * CommandLength))) return NvmeStatus.InvalidField;
            if (command.Prp1 % PageLength != 0) return NvmeStatus.InvalidPrpOffset;
            _submissions[id] = Make(id, command.Prp1, size, completions);
            return NvmeStatus.Success;
        }
    }

    private bool EntriesAre(int shift, int power) => (_registers.Configuration >> shift & 0xf) == power;

    private NvmeStatus DeleteCompletions(int id)
    {
        lock (_gate)
        {
            if (id == 0 || id > _queues || _completions[id] is null) return NvmeStatus.InvalidQueue;
            if (_submissions.Any(queue => queue?.CompletionQueue == id)) return NvmeStatus.InvalidQueueDeletion;
            _completions[id] = null;
            UpdatePin();
            return NvmeStatus.Success;
        }
    }

    // What has begun ends before; what waits in it is given up (5.6).
    private NvmeStatus DeleteSubmissions(int id)
    {
        SubmissionQueue queue;
        lock (_gate)
        {
            if (id == 0 || id > _queues || _submissions[id] is not { } there) return NvmeStatus.InvalidQueue;
            queue = there;
            queue.IsGone = true;
        }
        AwaitCommands([queue]);
        lock (_gate)
        {
            _submissions[id] = null;
            TellOfSpace();
        }
        return NvmeStatus.Success;
    }

    private NvmeStatus Identify(in NvmeCommand command, TransferMemory transfer)
    {
        const uint ofNamespace = 0, ofController = 1, list = 2, descriptors = 3;
        var data = new byte[PageLength];
        var there = command.Namespace == Namespace;
        switch (command.Word(10) & 0xff)
        {
            case ofNamespace:
                if (!there && command.Namespace != AllNamespaces) return NvmeStatus.InvalidNamespace;
                _namespace.Identity.WriteNamespace(data);
                break;
            case ofController:
                _namespace.Identity.WriteController(data);
                break;
            case list:
                if (command.Namespace >= AllNamespaces - 1) return NvmeStatus.InvalidNamespace;
                NvmeIdentity.WriteList(data, command.Namespace);
                break;
            case descriptors:
                if (!there) return NvmeStatus.InvalidNamespace;
                _namespace.Identity.WriteDescriptors(data);
                break;
            default:
                return NvmeStatus.InvalidField;
        }
        return Give(command, data, transfer);
    }

    private NvmeStatus Give(in NvmeCommand command, ReadOnlySpan<byte> data, TransferMemory transfer)
    {
        var mapped = PhysicalPages.Map(_memory, command, data.Length, transfer);
        if (mapped != NvmeStatus.Success) return mapped;
        transfer.CopyFrom(data);
        return NvmeStatus.Success;
    }

    private NvmeStatus GetLogPage(in NvmeCommand command, TransferMemory transfer)
    {
        const int errorLength = 64, healthLength = 512, firmwareLength = 512;
        var page = (int)(command.Word(10) & 0xff);
        var words = (command.Word(10) >> 16 | (ulong)(command.Word(11) & 0xffff) << 16) + 1;
        var (length, offset) = (words * sizeof(uint), command.Word(12) | (ulong)command.Word(13) << 32);
        byte[] log;
        switch (page)
        {
            case ErrorPage:
                log = new byte[errorLength];
                break;
            case HealthPage:
                log = new byte[healthLength];
                WriteHealth(log);
                break;
            case FirmwarePage:
                log = new byte[firmwareLength];
                (log[0], log[8]) = (1, (byte)'1');
                break;
            default:
                return NvmeStatus.InvalidLogPage;
        }
        if (length > LongestTransfer || offset % sizeof(uint) != 0 || offset > (ulong)log.Length) return NvmeStatus.InvalidField;
        const uint retain = 1 << 15;
        if ((command.Word(10) & retain) == 0)
        {
            // Reading a page lets its events be told again.
            lock (_gate) _registers.EventsToldOf &= (byte)~(page == ErrorPage ? 1 << NvmeEvents.TypeOf(NvmeEvents.InvalidDoorbell) : 0);
        }
        // What is asked for beyond its end is zeros.
        var data = new byte[(int)length];
        log.AsSpan((int)offset..Math.Min(log.Length, (int)Math.Min((ulong)log.Length, offset + length))).CopyTo(data);
        return Give(command, data, transfer);
    }

    private void WriteHealth(Span<byte> log)
    {
        const ushort kelvin = 300;
        const byte percent = 100, threshold = 10;
        BinaryPrimitives.WriteUInt16LittleEndian(log[1..], kelvin);
        (log[3], log[4]) = (percent, threshold);
    }

    private NvmeResult SetFeature(in NvmeCommand command)
    {
        var (feature, value) = ((NvmeFeature)(command.Word(10) & 0xff), command.Word(11));
        if (!Enum.IsDefined(feature)) return new(NvmeStatus.InvalidField);
        // Nothing is kept beyond a reset.
        if (command.Word(10) >> 31 != 0) return new(NvmeStatus.InvalidField);
        lock (_gate)
        {
            switch (feature)
            {
                case NvmeFeature.NumberOfQueues:
                    const uint none = 0xffff;
                    if ((value & none) == none || value >> 16 == none) return new(NvmeStatus.InvalidField);
                    return new(NvmeStatus.Success, QueuesGranted);
                case NvmeFeature.InterruptVector when (value & 0xffff) > _queues:
                    return new(NvmeStatus.InvalidField);
                case NvmeFeature.InterruptVector:
                    // Messages are not gathered in any case.
                    return new(NvmeStatus.Success);
                case NvmeFeature.PowerManagement when (value & 0x1f) != 0:
                    return new(NvmeStatus.InvalidField);
            }
            _registers.Feature[(int)feature] = value;
            return new(NvmeStatus.Success);
        }
    }

    private NvmeResult GetFeature(in NvmeCommand command)
    {
        var feature = (NvmeFeature)(command.Word(10) & 0xff);
        // Only what is in force, which is what there is by default until it is set, can be asked for (5.14.1.1 needs no more).
        if (!Enum.IsDefined(feature) || (command.Word(10) >> 8 & 7) != 0) return new(NvmeStatus.InvalidField);
        lock (_gate)
        {
            return feature switch
            {
                NvmeFeature.NumberOfQueues => new(NvmeStatus.Success, QueuesGranted),
                NvmeFeature.InterruptVector => (command.Word(11) & 0xffff) > _queues ? new(NvmeStatus.InvalidField) : new(NvmeStatus.Success, (command.Word(11) & 0xffff) | 1 << 16),
                _ => new(NvmeStatus.Success, _registers.Feature[(int)feature]),
            };
        }
    }

    private uint QueuesGranted => (uint)(_queues - 1) | (uint)(_queues - 1) << 16;

    private NvmeResult? AskForEvent(ushort command)
    {
        lock (_gate)
        {
            if (_registers.EventRequests.Count == MostEventRequests) return new(NvmeStatus.EventLimitExceeded);
            _registers.EventRequests.Add(command);
            return null;
        }
    }

    private NvmeStatus SetDoorbellBuffers(in NvmeCommand command)
    {
        if ((command.Prp1 | command.Prp2) % PageLength != 0) return NvmeStatus.InvalidPrpOffset;
        if (!_memory.IsRam(command.Prp1, PageLength) || !_memory.IsRam(command.Prp2, PageLength) || command.Prp1 == 0) return NvmeStatus.InvalidField;
        lock (_gate) (_registers.Shadow, _registers.EventIndexes) = (command.Prp1, command.Prp2);
        return NvmeStatus.Success;
    }

    private void Tell(uint what)
    {
        // A controller that is off has nobody to tell.
        if (_submissions[0] is not { } admin) return;
        _registers.Tell(what);
        admin.Worker.Wake();
    }

    // With _gate: tells of what happened where somebody asked and there is room.
    private void Events()
    {
        if (_paused || _submissions[0] is not { IsGone: false } admin) return;
        for (var i = 0; i < _registers.Events.Count && _registers.EventRequests.Count > 0 && !IsFull(_completions[0]!);)
        {
            var told = _registers.Events[i];
            var bit = (byte)(1 << NvmeEvents.TypeOf(told));
            if ((_registers.EventsToldOf & bit) != 0)
            {
                i++;
                continue;
            }
            _registers.EventsToldOf |= bit;
            _registers.Events.RemoveAt(i);
            var command = _registers.EventRequests[0];
            _registers.EventRequests.RemoveAt(0);
            Complete(admin, command, new NvmeResult(NvmeStatus.Success, told));
        }
    }

    private void Exchange(SavedFields fields)
    {
        fields.Record(10, ref _registers, NvmeRegisters.Exchange);
        IReadOnlyList<SavedQueue> submissions = [.. from queue in _submissions where queue is not null select new SavedQueue { Id = queue.Id, Address = queue.Address, Size = queue.Size, Head = queue.Head, Tail = queue.Tail, Other = queue.CompletionQueue }];
        IReadOnlyList<SavedQueue> completions = [.. from queue in _completions where queue is not null select new SavedQueue { Id = queue.Id, Address = queue.Address, Size = queue.Size, Head = queue.Head, Tail = queue.Tail, Other = queue.Vector, Flag = queue.Interrupts, Phase = queue.Phase }];
        var counts = (byte)submissions.Count | (byte)completions.Count << 8;
        fields.Value(11, ref counts);
        fields.List(12, ref submissions, MostQueues + 1, SavedQueue.Exchange);
        fields.List(13, ref completions, MostQueues + 1, SavedQueue.Exchange);
        _namespace.Medium.Exchange(fields, 14);
        if (!fields.IsLoading) return;
        SavedFields.Require(counts == (submissions.Count | completions.Count << 8), "queues are missing");
        foreach (var queue in completions)
        {
            SavedFields.Require(queue.Id <= _queues && _completions[queue.Id] is null && queue.Other >= 0 && queue.Other <= _queues, $"a completion queue {queue.Id} that cannot be");
            _completions[queue.Id] = new CompletionQueue { Id = queue.Id, Address = queue.Address, Size = queue.Size, Head = queue.Head, Tail = queue.Tail, Interrupts = queue.Flag, Vector = queue.Other, Phase = queue.Phase };
        }
        foreach (var queue in submissions)
        {
            SavedFields.Require(queue.Id <= _queues && _submissions[queue.Id] is null && queue.Other >= 0 && queue.Other <= _queues && _completions[queue.Other] is not null, $"a submission queue {queue.Id} that cannot be");
            var made = Make(queue.Id, queue.Address, queue.Size, queue.Other);
            (made.Head, made.Tail) = (queue.Head, queue.Tail);
            _submissions[queue.Id] = made;
        }
        SavedFields.Require((_submissions[0] is null) == (_completions[0] is null), "the admin's queues are not a pair");
    }
}
